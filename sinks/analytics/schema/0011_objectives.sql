-- Objectives: how long postings take, what is on its way, and where an objective is missed.

CREATE TABLE delivery_time (
    slot_us BIGINT NOT NULL,
    erp VARCHAR NOT NULL,
    plant VARCHAR NOT NULL,
    kind VARCHAR NOT NULL,
    lane VARCHAR NOT NULL,
    hop VARCHAR NOT NULL,
    within_s BIGINT NOT NULL,
    postings HUGEINT NOT NULL,
    took_us HUGEINT NOT NULL,
    first_answered_us BIGINT NOT NULL,
    last_answered_us BIGINT NOT NULL
);
INSERT INTO delivery_time BY NAME SELECT answered_us // 300000000 * 300000000 AS slot_us, erp AS erp, plant AS plant, kind AS kind, lane AS lane, hop AS hop, CASE WHEN hop_us <= 1000000 THEN 1 WHEN hop_us <= 2000000 THEN 2 WHEN hop_us <= 5000000 THEN 5 WHEN hop_us <= 10000000 THEN 10 WHEN hop_us <= 15000000 THEN 15 WHEN hop_us <= 30000000 THEN 30 WHEN hop_us <= 60000000 THEN 60 WHEN hop_us <= 120000000 THEN 120 WHEN hop_us <= 300000000 THEN 300 WHEN hop_us <= 600000000 THEN 600 WHEN hop_us <= 900000000 THEN 900 WHEN hop_us <= 1800000000 THEN 1800 WHEN hop_us <= 3600000000 THEN 3600 WHEN hop_us <= 7200000000 THEN 7200 WHEN hop_us <= 14400000000 THEN 14400 WHEN hop_us <= 28800000000 THEN 28800 WHEN hop_us <= 43200000000 THEN 43200 WHEN hop_us <= 86400000000 THEN 86400 WHEN hop_us <= 172800000000 THEN 172800 WHEN hop_us <= 604800000000 THEN 604800 ELSE 1000000000 END AS within_s, sum(sign * CAST(1 AS HUGEINT)) AS postings, sum(sign * CAST(hop_us AS HUGEINT)) AS took_us, min(answered_us) AS first_answered_us, max(answered_us) AS last_answered_us FROM (SELECT *, unnest([{'hop': 'occurred-committed', 'hop_us': coalesce(committed_us, answered_us) - occurred_us}, {'hop': 'enqueued-committed', 'hop_us': coalesce(committed_us, answered_us) - enqueued_us}, {'hop': 'occurred-enqueued', 'hop_us': enqueued_us - occurred_us}, {'hop': 'enqueued-sent', 'hop_us': first_sent_us - enqueued_us}, {'hop': 'sent-committed', 'hop_us': coalesce(committed_us, answered_us) - first_sent_us}], recursive := true) FROM (SELECT *, 1 AS sign FROM receipt AS stored)) WHERE status = 'accepted' GROUP BY ALL;

CREATE TABLE slo_objective (
    name VARCHAR NOT NULL,
    kinds VARCHAR[] NOT NULL,
    lanes VARCHAR[] NOT NULL,
    plants VARCHAR[] NOT NULL,
    hop VARCHAR NOT NULL,
    within_s BIGINT NOT NULL,
    percent DOUBLE NOT NULL,
    window_days BIGINT NOT NULL,
    late_min BIGINT NOT NULL
);
COMMENT ON TABLE slo_objective IS 'Objectives, as the settings have them.';
COMMENT ON COLUMN slo_objective.name IS 'Its name.';
COMMENT ON COLUMN slo_objective.kinds IS 'Kinds of postings it is about; empty: all.';
COMMENT ON COLUMN slo_objective.lanes IS 'Lanes it is about; empty: all.';
COMMENT ON COLUMN slo_objective.plants IS 'Plants it is about; empty: all.';
COMMENT ON COLUMN slo_objective.hop IS 'From which instant to which one time is taken, as in delivery_time.';
COMMENT ON COLUMN slo_objective.within_s IS 'A posting that takes longer than so many seconds is late.';
COMMENT ON COLUMN slo_objective.percent IS 'So many percent of the postings are to be in time.';
COMMENT ON COLUMN slo_objective.window_days IS 'Days over which that holds.';
COMMENT ON COLUMN slo_objective.late_min IS 'Fewer late postings than this tell nobody.';

CREATE TABLE slo_level (
    objective VARCHAR NOT NULL,
    erp VARCHAR NOT NULL,
    plant VARCHAR NOT NULL,
    postings BIGINT NOT NULL,
    late BIGINT NOT NULL,
    waiting BIGINT NOT NULL,
    burn_1h DOUBLE NOT NULL,
    burn_6h DOUBLE NOT NULL,
    burn_3d DOUBLE NOT NULL,
    burning VARCHAR NOT NULL,
    evaluated_us BIGINT NOT NULL
);
COMMENT ON TABLE slo_level IS 'How each objective is kept, per ERP and plant, as last evaluated; ask view slo_state.';
COMMENT ON COLUMN slo_level.objective IS 'Name of the objective.';
COMMENT ON COLUMN slo_level.erp IS 'Name of the ERP instance.';
COMMENT ON COLUMN slo_level.plant IS 'Canonical key of the plant.';
COMMENT ON COLUMN slo_level.postings IS 'Postings of the objective''s days; those that wait too long are among them.';
COMMENT ON COLUMN slo_level.late IS 'Of these, those that took too long or have waited too long.';
COMMENT ON COLUMN slo_level.waiting IS 'Of these, those that the ERP has not accepted yet.';
COMMENT ON COLUMN slo_level.burn_1h IS 'Late postings of the last hour, as a multiple of what the objective allows.';
COMMENT ON COLUMN slo_level.burn_6h IS 'The same of six hours.';
COMMENT ON COLUMN slo_level.burn_3d IS 'The same of three days.';
COMMENT ON COLUMN slo_level.burning IS 'Urgency of the breach there is now: page, ticket, or empty.';
COMMENT ON COLUMN slo_level.evaluated_us IS 'Instant since which it has been so, UTC, in microseconds since 1970-01-01.';

CREATE TABLE slo_alert (
    alert_id UUID NOT NULL PRIMARY KEY,
    objective VARCHAR NOT NULL,
    erp VARCHAR NOT NULL,
    plant VARCHAR NOT NULL,
    urgency VARCHAR NOT NULL,
    begun_us BIGINT NOT NULL,
    ended_us BIGINT,
    severity VARCHAR NOT NULL,
    line_stop BOOLEAN NOT NULL,
    financial BOOLEAN NOT NULL,
    owners VARCHAR[] NOT NULL,
    codes VARCHAR[] NOT NULL
);
COMMENT ON TABLE slo_alert IS 'Each time an objective was missed fast enough to tell somebody; ask view slo_breach.';
COMMENT ON COLUMN slo_alert.alert_id IS 'UUIDv5 of objective, ERP, plant, urgency and begin.';
COMMENT ON COLUMN slo_alert.objective IS 'Name of the objective.';
COMMENT ON COLUMN slo_alert.erp IS 'Name of the ERP instance.';
COMMENT ON COLUMN slo_alert.plant IS 'Canonical key of the plant.';
COMMENT ON COLUMN slo_alert.urgency IS 'page: the budget goes within days; ticket: it goes before its time.';
COMMENT ON COLUMN slo_alert.begun_us IS 'Instant it began, UTC, in microseconds since 1970-01-01.';
COMMENT ON COLUMN slo_alert.ended_us IS 'Instant it ended; none while it lasts.';
COMMENT ON COLUMN slo_alert.severity IS 'What it does to the business: line-stop, financial-distortion or delay.';
COMMENT ON COLUMN slo_alert.line_stop IS
    'Whether a line may stop: components are not issued, or lots that others need are not received or moved.';
COMMENT ON COLUMN slo_alert.financial IS
    'Whether books may be wrong: a period ends or has ended, or an order is complete or closed.';
COMMENT ON COLUMN slo_alert.owners IS 'Who settles what is wrong, by its class; empty where no exception says what it is.';
COMMENT ON COLUMN slo_alert.codes IS 'Codes of exceptions of these postings, their orders and the ERP that were open meanwhile.';

CREATE TABLE slo_breach_posting (
    alert_id UUID NOT NULL,
    posting_id UUID NOT NULL,
    kind VARCHAR NOT NULL,
    order_id VARCHAR NOT NULL,
    materials VARCHAR[] NOT NULL,
    lots VARCHAR[] NOT NULL,
    unit VARCHAR NOT NULL,
    quantity BIGINT NOT NULL,
    posting_date DATE,
    final BOOLEAN NOT NULL
);
COMMENT ON TABLE slo_breach_posting IS 'The postings that were late while an objective was missed.';
COMMENT ON COLUMN slo_breach_posting.alert_id IS 'The alert, as in slo_breach.';
COMMENT ON COLUMN slo_breach_posting.posting_id IS 'UUIDv5 of what is posted and why.';
COMMENT ON COLUMN slo_breach_posting.kind IS 'What document it becomes.';
COMMENT ON COLUMN slo_breach_posting.order_id IS 'Production order.';
COMMENT ON COLUMN slo_breach_posting.materials IS 'Materials made or moved by it.';
COMMENT ON COLUMN slo_breach_posting.lots IS 'Lots made or moved by it.';
COMMENT ON COLUMN slo_breach_posting.unit IS 'UN/ECE Recommendation 20 code of the quantity.';
COMMENT ON COLUMN slo_breach_posting.quantity IS 'Output that it reports, in thousandths of the unit.';
COMMENT ON COLUMN slo_breach_posting.posting_date IS 'Day it is posted to.';
COMMENT ON COLUMN slo_breach_posting.final IS 'Whether nothing more comes for the operation.';

CREATE TABLE slo_notice (
    alert_id UUID NOT NULL,
    word VARCHAR NOT NULL,
    at_us BIGINT NOT NULL,
    told_us BIGINT,
    PRIMARY KEY (alert_id, word)
);
COMMENT ON TABLE slo_notice IS 'What is told of each alert, each once: that it has begun, and that it has ended.';
COMMENT ON COLUMN slo_notice.alert_id IS 'The alert, as in slo_breach.';
COMMENT ON COLUMN slo_notice.word IS 'begun or ended.';
COMMENT ON COLUMN slo_notice.at_us IS 'Instant of that, UTC, in microseconds since 1970-01-01.';
COMMENT ON COLUMN slo_notice.told_us IS 'Instant at which the webhook took it; none where it has not, or there is none.';
