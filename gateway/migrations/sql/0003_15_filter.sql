-- Whether an event passes an endpoint's filter. webhooks/outbound/filters.py says the same in Python, vets what is
-- stored and documents the language; a property test holds the two together. A filter that was not vetted there
-- must not be stored.

-- Whether what stands at a path meets its condition; `actual` is SQL's null where there is nothing (JSON's null is
-- a value).
CREATE FUNCTION filter_condition_holds(condition jsonb, actual jsonb) RETURNS boolean
LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    CASE jsonb_typeof(condition)
    WHEN 'array' THEN
        RETURN filter_is_one_of(actual, condition);
    WHEN 'object' THEN
        RETURN condition - '{eq,ne,in,nin,exists,prefix,gt,gte,lt,lte}'::text[] = '{}'
            AND (NOT condition ? 'eq' OR coalesce(actual = condition->'eq', false))
            AND (NOT condition ? 'ne' OR coalesce(actual <> condition->'ne', true))
            AND (NOT condition ? 'in' OR filter_is_one_of(actual, condition->'in'))
            AND (NOT condition ? 'nin' OR NOT filter_is_one_of(actual, condition->'nin'))
            AND (NOT condition ? 'exists' OR (actual IS NOT NULL) = (condition->'exists')::boolean)
            AND (NOT condition ? 'prefix' OR coalesce(jsonb_typeof(actual) = 'string'
                 AND starts_with(actual #>> '{}', condition->>'prefix'), false))
            AND (NOT condition ?| '{gt,gte,lt,lte}' OR (
                (NOT condition ? 'gt' OR filter_compares(actual, 'gt', condition->'gt'))
                AND (NOT condition ? 'gte' OR filter_compares(actual, 'gte', condition->'gte'))
                AND (NOT condition ? 'lt' OR filter_compares(actual, 'lt', condition->'lt'))
                AND (NOT condition ? 'lte' OR filter_compares(actual, 'lte', condition->'lte'))));
    ELSE
        RETURN coalesce(actual = condition, false);
    END CASE;
END $$;

-- Lists hold scalars only, and a list contains a scalar where it is one of its elements.
CREATE FUNCTION filter_is_one_of(actual jsonb, list jsonb) RETURNS boolean
LANGUAGE sql IMMUTABLE AS $$
    SELECT coalesce(jsonb_typeof(actual) NOT IN ('array', 'object') AND list @> actual, false)
$$;

-- gt, gte, lt, lte: numbers with numbers, texts with texts by code point, anything else is false.
CREATE FUNCTION filter_compares(actual jsonb, operator text, operand jsonb) RETURNS boolean
LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE
        WHEN jsonb_typeof(actual) IS DISTINCT FROM jsonb_typeof(operand) THEN false
        WHEN jsonb_typeof(actual) = 'number' THEN CASE operator
            WHEN 'gt' THEN actual::numeric > operand::numeric WHEN 'gte' THEN actual::numeric >= operand::numeric
            WHEN 'lt' THEN actual::numeric < operand::numeric WHEN 'lte' THEN actual::numeric <= operand::numeric
            ELSE false END
        WHEN jsonb_typeof(actual) = 'string' THEN CASE operator
            WHEN 'gt' THEN (actual #>> '{}') COLLATE "C" > (operand #>> '{}')
            WHEN 'gte' THEN (actual #>> '{}') COLLATE "C" >= (operand #>> '{}')
            WHEN 'lt' THEN (actual #>> '{}') COLLATE "C" < (operand #>> '{}')
            WHEN 'lte' THEN (actual #>> '{}') COLLATE "C" <= (operand #>> '{}')
            ELSE false END
        ELSE false END
$$;

-- Every member must hold. A path's segments are names in objects and numbers from 0 in arrays: vetted ones read as
-- one or the other, never as an index from the end. No query anywhere in here: starting one costs more than all the
-- rest, and this is asked for every event and every endpoint.
CREATE FUNCTION filter_holds(filter jsonb, document jsonb) RETURNS boolean
LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    members jsonb := jsonb_path_query_array(filter, '$.keyvalue()');
    name text;
    wanted jsonb;
    holds boolean;
BEGIN
    FOR i IN 0 .. jsonb_array_length(members) - 1 LOOP
        name := members->i->>'key';
        wanted := members->i->'value';
        CASE name
        WHEN 'all' THEN
            FOR k IN 0 .. jsonb_array_length(wanted) - 1 LOOP
                IF NOT filter_holds(wanted->k, document) THEN
                    RETURN false;
                END IF;
            END LOOP;
        WHEN 'any' THEN
            holds := false;
            FOR k IN 0 .. jsonb_array_length(wanted) - 1 LOOP
                holds := filter_holds(wanted->k, document);
                EXIT WHEN holds;
            END LOOP;
            IF NOT holds THEN
                RETURN false;
            END IF;
        WHEN 'not' THEN
            IF filter_holds(wanted, document) THEN
                RETURN false;
            END IF;
        ELSE
            IF NOT filter_condition_holds(wanted, document #> string_to_array(name, '.')) THEN
                RETURN false;
            END IF;
        END CASE;
    END LOOP;
    RETURN true;
END $$;

-- What the filters of an event's tenant look at, read once for all of them. Null where the data cannot be read as
-- jsonb (a zero character in a text, a number beyond numeric): that passes, as an event too many is seen by its
-- receiver, one too few by nobody. Must not raise, no more than the next one: it would stop the fan-out of everybody.
-- Not parallel safe, as a handler is a subtransaction.
CREATE FUNCTION filter_document(type text, data bytea) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    RETURN jsonb_build_object('type', type, 'data', convert_from(data, 'UTF8')::jsonb);
EXCEPTION WHEN OTHERS THEN
    RETURN NULL;
END $$;

-- What the fan-out asks: null where the event does not pass, an empty text where it does, and words where it passes
-- because the filter could not be asked; these are counted and shown in the endpoint's health.
CREATE FUNCTION judge_filter(filter jsonb, document jsonb) RETURNS text
LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    IF filter IS NULL THEN
        RETURN '';
    ELSIF document IS NULL THEN
        RETURN 'The event''s data cannot be searched, so it passed.';
    END IF;
    RETURN CASE WHEN filter_holds(filter, document) THEN '' END;
EXCEPTION WHEN OTHERS THEN
    RETURN 'The filter could not be asked, so the event passed: ' || SQLERRM;
END $$;

CREATE FUNCTION matches_filter(filter jsonb, type text, data bytea) RETURNS boolean
LANGUAGE sql IMMUTABLE AS $$
    SELECT filter IS NULL OR judge_filter(filter, filter_document(type, data)) IS NOT NULL
$$;

REVOKE ALL ON FUNCTION filter_condition_holds, filter_is_one_of, filter_compares, filter_holds, filter_document,
    judge_filter, matches_filter FROM PUBLIC;
GRANT EXECUTE ON FUNCTION filter_condition_holds, filter_is_one_of, filter_compares, filter_holds, filter_document,
    judge_filter, matches_filter TO countersign_app, countersign_hub;
