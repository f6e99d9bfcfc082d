-- The taxi zones that PULocationID and DOLocationID refer to.
CREATE TABLE IF NOT EXISTS public.zones (
    LocationID integer PRIMARY KEY,
    Borough text,
    Zone text,
    service_zone text
);
