# Functions for the hidden set-up of scenes; sourced before each of them.

# Lands three days of one customer.
sealed_days() {
    for day in 01 02 03; do
        printf "{\"day\":\"2024-06-$day\",\"clicks\":%d}\n" 12 7 |
            rawsink write "ads/customer_id=123/query_name=campaign/logical_date=2024-06-$day" \
                --run-id 2024-06-04T04:00:00.000Z --set api_version=v21 --set query_hash=1f3a
    done
}

# The same, validated and copied to ./backup.
three_days() {
    mkdir backup &&
        sealed_days &&
        rawsink validate --all &&
        env -u RAW_SINK_STATE_URL rawsink copy --to-root backup
}
