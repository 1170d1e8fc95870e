"""An extractor, a validator, a consumer and a retry command, as a project with its own classes has them.

Only the import names this package.
"""

import os
from datetime import date, datetime, timezone

from rawsink.compat import (
    PartitionKey,
    PartitionStateRepository,
    RawPartitionValidator,
    RunContext,
    create_raw_sink,
)

SOURCE, QUERY = "google_ads", "campaign_daily_performance"


def repository():
    made = PartitionStateRepository(os.environ["STATE_DB"])
    made.ensure_schema()
    return made


def extract(customer, day, rows, count=None):
    """Land one day of a customer and validate it."""
    context, sink = RunContext.create(), create_raw_sink()
    key = PartitionKey(SOURCE, customer, QUERY, day)
    writer = sink.write_partition(key, context.run_id)
    written = 0
    for row in rows:
        writer.write_payload_row(row)
        written += 1
    metadata = {
        "source": key.source,
        "customer_id": key.customer_id,
        "query_name": key.query_name,
        "logical_date": key.logical_date,
        "run_id": context.run_id,
        "extracted_at": datetime.now(timezone.utc).isoformat(),
        "schema_version": "v1",
        "api_version": "v16",
        "query_hash": "0" * 64,
    }
    if count is None:
        metadata["record_count"] = written
    try:
        writer.finalize({**metadata, "record_count": written if count is None else count})
    except ValueError:
        pass
    RawPartitionValidator(sink, repository()).validate_partition(key, context.run_id)
    return context.run_id


def consume(customer, day):
    """Sum the clicks of the run that has authority."""
    state = repository().get_partition_state(SOURCE, customer, QUERY, date.fromisoformat(day))
    if state is None or state.status != "success":
        return None
    key = PartitionKey(SOURCE, customer, QUERY, day)
    reader = create_raw_sink().open_partition(key, state.current_run_id)
    return sum(row["clicks"] for row in reader.iter_payload_rows())


def failed():
    """List the failed partitions."""
    states = repository().list_partition_states(status="failed")
    return [(state.customer_id, state.logical_date.isoformat()) for state in states]


def retry():
    """Set all failed partitions back to pending."""
    states = repository()
    found = states.list_partition_states(status="failed")
    for state in found:
        state.status = "pending"
        state.updated_at = datetime.now(timezone.utc)
        states.upsert_partition_state(state)
    return len(found)
