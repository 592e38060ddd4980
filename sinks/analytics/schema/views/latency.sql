-- How long postings took, hop by hop.

CREATE OR REPLACE VIEW hop_latency AS
SELECT
    make_timestamp(hour_us) AS hour,
    plant,
    erp,
    kind,
    hop,
    postings,
    CAST(total_us AS DOUBLE) / postings / 1000000 AS mean_s,
    p50_us / 1000000 AS p50_s,
    p95_us / 1000000 AS p95_s,
    p99_us / 1000000 AS p99_s,
    longest_us / 1000000 AS longest_s
FROM hop_hour;
COMMENT ON VIEW hop_latency IS
    'How long postings took from hop to hop, by the hour in which the hop ended: quantiles within 9.1 %.';
COMMENT ON COLUMN hop_latency.hop IS
    'gather: last event to the flow postings; decide: to the queue; queue: to the first try; retry: to the last; erp: to its document; answer: to plantsync; whole: all.';
COMMENT ON COLUMN hop_latency.postings IS 'Number of postings.';
COMMENT ON COLUMN hop_latency.mean_s IS 'Mean duration in seconds, exact.';
COMMENT ON COLUMN hop_latency.p50_s IS 'Half of them took no longer, in seconds, within 9.1 %.';
COMMENT ON COLUMN hop_latency.p95_s IS '95 in 100 took no longer, in seconds, within 9.1 %.';
COMMENT ON COLUMN hop_latency.p99_s IS '99 in 100 took no longer, in seconds, within 9.1 %.';
COMMENT ON COLUMN hop_latency.longest_s IS 'Longest duration in seconds, exact.';
