-- An opening writes the views, functions and comments only where they are not there as its release has them
-- (sinks/analytics/description.py).

CREATE TABLE store_description (digest VARCHAR NOT NULL);
COMMENT ON TABLE store_description IS 'SHA-256 over the views, functions and comments that were written last.';
