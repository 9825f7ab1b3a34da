import type { Schema } from '../base/database.ts'

/** Networks and endpoints; an endpoint's row is also the lease of its addresses. */
export const networkSchema: Schema = {
  name: 'network',
  migrations: [
    `CREATE TABLE network (
       id TEXT PRIMARY KEY,
       name TEXT NOT NULL UNIQUE,
       bridge TEXT NOT NULL,
       definition TEXT NOT NULL,
       last_ipv4 TEXT NOT NULL DEFAULT '',
       last_ipv6 TEXT NOT NULL DEFAULT ''
     ) STRICT;
     CREATE TABLE network_endpoint (
       id TEXT PRIMARY KEY,
       network TEXT NOT NULL REFERENCES network (id),
       container TEXT NOT NULL,
       container_name TEXT NOT NULL,
       namespace TEXT NOT NULL,
       link TEXT NOT NULL,
       ipv4 TEXT,
       ipv6 TEXT,
       endpoint TEXT NOT NULL,
       UNIQUE (network, container),
       UNIQUE (network, ipv4),
       UNIQUE (network, ipv6)
     ) STRICT;`,
  ],
}
