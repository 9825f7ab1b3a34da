/** The tables of images/. Blobs and layers are files; what they mean to the user is here, changed in transactions. */
import type { Schema } from '../base/database.ts'

export const imageSchema: Schema = {
  name: 'images',
  migrations: [
    `
    CREATE TABLE image (
      id TEXT PRIMARY KEY,
      manifest_digest TEXT NOT NULL,
      chain_id TEXT,
      config TEXT NOT NULL,
      size INTEGER NOT NULL,
      host INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE image_tag (
      repository TEXT NOT NULL,
      tag TEXT NOT NULL,
      image_id TEXT NOT NULL REFERENCES image (id) ON DELETE CASCADE,
      PRIMARY KEY (repository, tag)
    ) STRICT;
    CREATE INDEX image_tag_image ON image_tag (image_id);
    CREATE TABLE image_digest (
      repository TEXT NOT NULL,
      digest TEXT NOT NULL,
      image_id TEXT NOT NULL REFERENCES image (id) ON DELETE CASCADE,
      PRIMARY KEY (repository, digest)
    ) STRICT;
    CREATE INDEX image_digest_image ON image_digest (image_id);
    CREATE TABLE image_layer (
      chain_id TEXT PRIMARY KEY,
      bytes INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE image_blob_source (
      digest TEXT NOT NULL,
      repository TEXT NOT NULL,
      PRIMARY KEY (digest, repository)
    ) STRICT;
    CREATE TABLE image_lease (id TEXT PRIMARY KEY, expires INTEGER NOT NULL) STRICT;
    CREATE TABLE image_lease_hold (
      lease TEXT NOT NULL REFERENCES image_lease (id) ON DELETE CASCADE,
      held TEXT NOT NULL,
      kind TEXT NOT NULL CHECK (kind IN ('blob', 'chain')),
      PRIMARY KEY (lease, kind, held)
    ) STRICT;
    CREATE INDEX image_lease_hold_held ON image_lease_hold (kind, held);
    `,
    'ALTER TABLE image_lease ADD COLUMN abandoned INTEGER NOT NULL DEFAULT 0',
  ],
}
