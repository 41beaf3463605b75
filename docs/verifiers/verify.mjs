// Verifies a webhook where it is received. One file to copy; Node 18 or later, no packages.
//
//   import { NotVerified, verifyWebhook } from "./verify.mjs";
//
//   try {
//     const event = verifyWebhook(request.headers, rawBody, ["whsec_..."]);   // { id, type, timestamp, scheme }
//   } catch (refusal) {
//     if (!(refusal instanceof NotVerified)) throw refusal;                   // answer 401; refusal.message says why
//   }
//
// Give it the raw bytes of the body (a Buffer), before anything parses them. Keys: the endpoint's secret as it was
// shown (whsec_..., or your own text), or its public keys (whpk_...), one or several during a rotation. Remember the
// `id` that it returns: the same message may come more than once.
import { createHmac, createPublicKey, timingSafeEqual, verify } from "node:crypto";
import { readFileSync } from "node:fs";
import { argv } from "node:process";
import { pathToFileURL } from "node:url";

const LONGEST_HEADER = 8192;
const MOST_SIGNATURES = 20;
const MOST_KEYS = 20;
const SHORTEST_SECRET = 24;
const ID = /^[\x21-\x2d\x2f-\x7e]{1,255}$/; // printable, no space, no dot
const ASCII = /^[\x00-\x7f]*$/;
const WANTED = new Set([
  "webhook-id", "webhook-timestamp", "webhook-signature",
  "x-signature-event", "x-signature-timestamp", "x-signature-signature",
]);

/** The message is not to be trusted. Its text says why and holds no secret. */
export class NotVerified extends Error {}

/** What was proved. Throws NotVerified. `headers`: an object of names and values, a Map or fetch's Headers. */
export function verifyWebhook(headers, body, keys, { toleranceS = 300, now = Date.now() / 1000 } = {}) {
  if (!(body instanceof Uint8Array)) throw new NotVerified("the body must be the raw bytes that were received");
  const raw = Buffer.from(body);
  const read = readHeaders(headers);
  const known = readKeys(typeof keys === "string" ? [keys] : keys);
  const refusals = [];
  for (const check of [checkStandard, checkSeed]) {
    const found = check(read, raw, known, now, toleranceS, refusals);
    if (found !== null) return { ...found, ...readBody(raw, read, found.id) };
  }
  throw new NotVerified(refusals.join("; "));
}

function checkStandard(headers, body, keys, now, toleranceS, refusals) {
  const listed = headers["webhook-signature"];
  if (listed === undefined) return refuse(refusals, "there is no webhook-signature");
  const id = headers["webhook-id"] ?? "";
  if (!ID.test(id)) return refuse(refusals, "webhook-id is missing or malformed");
  const timestamp = headers["webhook-timestamp"] ?? "";
  if (!isTimely(timestamp, "webhook-timestamp", now, toleranceS, refusals)) return null;
  const signed = Buffer.concat([Buffer.from(`${id}.${timestamp}.`), body]);
  const expected = keys.standard.map((key) => "v1," + createHmac("sha256", key).update(signed).digest("base64"));
  for (const value of listed.split(" ").slice(0, MOST_SIGNATURES)) {
    if (value.startsWith("v1,") && isOneOf(value, expected)) {
      return { id, timestamp: Number(timestamp), scheme: "v1" };
    }
    if (value.startsWith("v1a,") && isSigned(value.slice(4), signed, keys.public)) {
      return { id, timestamp: Number(timestamp), scheme: "v1a" };
    }
  }
  return refuse(refusals, "no signature of webhook-signature was made with one of the keys");
}

function checkSeed(headers, body, keys, now, toleranceS, refusals) {
  const value = headers["x-signature-signature"];
  if (value === undefined) return refuse(refusals, "there is no X-Signature-Signature");
  const timestamp = headers["x-signature-timestamp"] ?? "";
  if (!isTimely(timestamp, "X-Signature-Timestamp", now, toleranceS, refusals)) return null;
  const signed = Buffer.concat([Buffer.from(`${timestamp}.`), body]);
  const expected = keys.seed.map((key) => "sha256=" + createHmac("sha256", key).update(signed).digest("hex"));
  if (!isOneOf(value, expected)) {
    return refuse(refusals, "X-Signature-Signature was not made with one of the secrets");
  }
  return { id: "", timestamp: Number(timestamp), scheme: "seed" }; // this header signs no id: the body's is taken
}

function isOneOf(value, expected) {
  const given = Buffer.from(value);
  let found = false;
  for (const one of expected) { // every comparison is made, whatever the first one says
    const wanted = Buffer.from(one);
    if (given.length === wanted.length && timingSafeEqual(given, wanted)) found = true;
  }
  return found;
}

function isSigned(value, signed, keys) {
  const signature = decode(value);
  return signature !== null && signature.length === 64 && keys.some((key) => verify(null, signed, key, signature));
}

function isTimely(text, name, now, toleranceS, refusals) {
  if (!/^[0-9]{1,12}$/.test(text)) {
    refusals.push(`${name} is missing or malformed`);
  } else if (!(Math.abs(now - Number(text)) <= toleranceS && Number.isFinite(now))) {
    refusals.push(`${name} is too old or too new`);
  } else {
    return true;
  }
  return false;
}

function readBody(body, headers, signedId) {
  let event;
  try {
    event = JSON.parse(new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(body));
  } catch {
    throw new NotVerified("the body is signed, but it is no JSON");
  }
  if (event === null || typeof event !== "object" || Array.isArray(event)) {
    throw new NotVerified("the body is signed, but it is no JSON object");
  }
  const own = (name) => (Object.hasOwn(event, name) ? event[name] : undefined);
  const type = own("type");
  if (typeof type !== "string" || !/^[A-Za-z0-9_.-]{1,128}$/.test(type)) {
    throw new NotVerified("the body is signed, but it has no type");
  }
  const hint = headers["x-signature-event"];
  if (hint !== undefined && hint !== type) {
    throw new NotVerified("X-Signature-Event is not the type of the signed body");
  }
  const inside = own("id") ?? "";
  if (own("id") != null && !(typeof inside === "string" && ID.test(inside))) {
    throw new NotVerified("the body's id is malformed");
  }
  const outside = headers["webhook-id"] ?? signedId;
  if (inside && outside && inside !== outside) throw new NotVerified("webhook-id is not the id of the signed body");
  if (!(signedId || inside)) throw new NotVerified("the body is signed, but it has no id");
  return { id: signedId || inside, type };
}

function readHeaders(headers) {
  const read = Object.create(null);
  const pairs = typeof headers?.entries === "function" ? [...headers.entries()] : Object.entries(headers ?? {});
  for (const [name, given] of pairs) {
    const key = String(name).toLowerCase();
    if (!WANTED.has(key)) continue;
    for (const value of Array.isArray(given) ? given : [given]) {
      if (typeof value !== "string" || value.length > LONGEST_HEADER || !ASCII.test(value)) {
        throw new NotVerified(`${key} is malformed`);
      }
      const clean = value.replace(/^[ \t]+|[ \t]+$/g, "");
      if (key in read && read[key] !== clean) throw new NotVerified(`${key} is there twice`);
      read[key] = clean;
    }
  }
  return read;
}

/** A key that cannot be read is an error and not skipped: whoever mistyped it would wait for it in vain. */
function readKeys(given) {
  if (!Array.isArray(given) || given.length < 1 || given.length > MOST_KEYS) {
    throw new NotVerified(`there must be 1 to ${MOST_KEYS} keys`);
  }
  const keys = { standard: [], seed: [], public: [] };
  given.forEach((key, at) => {
    const place = `key ${at + 1}`;
    if (typeof key !== "string" || !ASCII.test(key)) throw new NotVerified(`${place} is not a text of ASCII`);
    if (key.startsWith("whsk_")) throw new NotVerified(`${place} is a private key, which no receiver should have`);
    if (key.startsWith("whpk_")) {
      const bytes = decode(key.slice(5));
      if (bytes?.length !== 32) throw new NotVerified(`${place} is not whpk_ and the base64 of 32 bytes`);
      const der = Buffer.concat([Buffer.from("302a300506032b6570032100", "hex"), bytes]); // RFC 8410
      keys.public.push(createPublicKey({ key: der, format: "der", type: "spki" }));
    } else if (key.startsWith("whsec_")) {
      const bytes = decode(key.slice(6));
      if (bytes === null || bytes.length < SHORTEST_SECRET) {
        throw new NotVerified(`${place} is not whsec_ and the base64 of ${SHORTEST_SECRET} bytes or more`);
      }
      keys.standard.push(bytes);
      keys.seed.push(Buffer.from(key));
    } else if (key.length < SHORTEST_SECRET) {
      throw new NotVerified(`${place} has less than ${SHORTEST_SECRET} characters`);
    } else {
      keys.standard.push(Buffer.from(key));
      keys.seed.push(Buffer.from(key));
    }
  });
  return keys;
}

/** Base64 in its one canonical form, or null. */
function decode(text) {
  const bytes = Buffer.from(text, "base64");
  return bytes.toString("base64") === text ? bytes : null;
}

function refuse(refusals, reason) {
  refusals.push(reason);
  return null;
}

// What follows runs the published vectors: node verify.mjs vectors.json. Leave it out of your service.
if (argv[1] && import.meta.url === pathToFileURL(argv[1]).href) {
  for (const one of JSON.parse(readFileSync(argv[2], "utf8")).cases) {
    let verdict;
    try {
      const body = Buffer.from(one.body_base64, "base64");
      const given = { toleranceS: one.tolerance_s, now: one.now };
      verdict = { ok: true, ...verifyWebhook(one.headers, body, one.keys, given) };
    } catch (refusal) {
      if (!(refusal instanceof NotVerified)) throw refusal;
      verdict = { ok: false, reason: refusal.message };
    }
    console.log(JSON.stringify({ name: one.name, ...verdict }));
  }
}
