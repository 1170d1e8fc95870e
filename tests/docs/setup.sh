# Functions for the hidden set-up of scenes; sourced before each of them.

# Lands and validates three days of one customer, and copies them to ./backup.
three_days() {
    mkdir backup
    for day in 01 02 03; do
        printf "{\"day\":\"2024-06-$day\",\"clicks\":%d}\n" 12 7 |
            rawsink write "ads/customer_id=123/query_name=campaign/logical_date=2024-06-$day" \
                --run-id 2024-06-04T04:00:00.000Z --set api_version=v21 --set query_hash=1f3a
    done &&
        rawsink validate --all &&
        env -u RAW_SINK_STATE_URL rawsink copy --to-root backup
}
