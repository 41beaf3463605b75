#!/bin/sh
# Makes or corrects the database roles (deploy/roles.sql). PostgreSQL's image runs it when its data folder is new;
# run it again with new passwords to change them. Connects as psql's own variables say (PGHOST, PGUSER, ...).
set -eu
: "${POSTGRES_OWNER_PASSWORD:?is not set}"
: "${POSTGRES_APP_PASSWORD:?is not set}"
: "${POSTGRES_HUB_PASSWORD:?is not set}"
exec psql --no-psqlrc --quiet --username "${PGUSER:-postgres}" --dbname postgres --file "${ROLES_SQL:-/deploy/roles.sql}"
