-- What no confirmation accounts for.

CREATE OR REPLACE VIEW telemetry_by_minute AS
SELECT
    plant,
    work_center,
    source,
    make_timestamp(minute_us) AS minute,
    events,
    units(good) AS good,
    units(scrap) AS scrap,
    units(rework) AS rework,
    seconds(machine_us) AS machine_seconds,
    units(energy_mwh) AS energy_wh
FROM telemetry_minute;
COMMENT ON VIEW telemetry_by_minute IS
    'What each source reported by the UTC minute that no confirmation accounts for; whole units and watt hours.';
COMMENT ON COLUMN telemetry_by_minute.events IS 'Number of events.';
