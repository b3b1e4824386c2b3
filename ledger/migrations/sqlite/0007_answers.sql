-- What finds calls and conversions by what their senders know them by.

CREATE INDEX attempts_unique_id ON attempts (unique_id) WHERE unique_id <> '';
CREATE INDEX conversions_order ON conversions (order_id) WHERE order_id <> '';
