-- What became of every record.

CREATE OR REPLACE VIEW fault_pareto AS
SELECT
    plant,
    code,
    stage,
    CAST(sum(faults) AS BIGINT) AS faults,
    count(DISTINCT source) AS sources,
    round(sum(faults) / sum(sum(faults)) OVER (PARTITION BY plant), 4) AS share,
    round(
        sum(sum(faults)) OVER (PARTITION BY plant ORDER BY sum(faults) DESC, code, stage)
        / sum(sum(faults)) OVER (PARTITION BY plant),
        4
    ) AS cumulative_share,
    make_timestamp(max(last_failed_us)) AS last_failed
FROM setting_aside
GROUP BY plant, code, stage;
COMMENT ON VIEW fault_pareto IS
    'Records set aside per plant, code and stage, with their share of the plant''s faults, largest first.';
COMMENT ON COLUMN fault_pareto.share IS 'Part of the plant''s faults, 0 to 1.';
COMMENT ON COLUMN fault_pareto.cumulative_share IS 'Part of the plant''s faults with all more frequent ones, 0 to 1.';

CREATE OR REPLACE VIEW conservation AS
SELECT
    plant,
    source,
    count(*) AS sessions,
    CAST(sum(read) AS BIGINT) AS read,
    CAST(sum(released) AS BIGINT) AS released,
    CAST(sum(late) AS BIGINT) AS late,
    CAST(sum(duplicates) AS BIGINT) AS duplicates,
    CAST(sum(faults) AS BIGINT) AS faults,
    CAST(sum(held) AS BIGINT) AS held,
    CAST(sum(accounted) AS BIGINT) AS accounted,
    CAST(sum(analytics_only) AS BIGINT) AS analytics_only,
    CAST(sum(operational) AS BIGINT) AS operational,
    CAST(sum(gaps) AS BIGINT) AS gaps,
    CAST(sum(missing) AS BIGINT) AS missing,
    CAST(sum(skipped) AS BIGINT) AS skipped,
    bool_and(
        ledger.read = ledger.released + ledger.late + ledger.duplicates + ledger.faults + ledger.held
        AND ledger.released + ledger.late = ledger.accounted + ledger.analytics_only + ledger.operational
    ) AS balanced
FROM ledger
GROUP BY plant, source;
COMMENT ON VIEW conservation IS
    'What became of every record read, per plant and source; balanced is whether each session adds up.';
COMMENT ON COLUMN conservation.balanced IS
    'Whether in each session what was read equals what became of it; false is a defect.';
