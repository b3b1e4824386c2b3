-- What finds calls and conversions by what their senders know them by.

CREATE INDEX IF NOT EXISTS attempts_unique_id ON attempts (unique_id) WHERE unique_id <> '';
CREATE INDEX IF NOT EXISTS conversions_order ON conversions (order_id) WHERE order_id <> '';

-- An advertiser's file beside our conversions. counts: class=rows, separated by spaces; bridge, remarks: a line
-- each; batch_id: what accepted it.
CREATE TABLE reconciliations (
    reconciliation_id INTEGER PRIMARY KEY AUTOINCREMENT,
    advertiser_id INTEGER NOT NULL,
    starts INTEGER NOT NULL,
    until INTEGER NOT NULL,
    made_at INTEGER NOT NULL,
    key_id INTEGER NOT NULL,
    actor TEXT NOT NULL,
    note TEXT NOT NULL,
    is_complete INTEGER NOT NULL,
    rows INTEGER NOT NULL,
    counts TEXT NOT NULL,
    bridge TEXT NOT NULL,
    remarks TEXT NOT NULL,
    batch_id INTEGER
) STRICT;

-- position: from 1; line: of their file. adjustments: how many the conversion had.
CREATE TABLE reconciliation_rows (
    reconciliation_id INTEGER NOT NULL,
    position INTEGER NOT NULL,
    line INTEGER,
    class TEXT NOT NULL,
    code TEXT NOT NULL,
    reason TEXT NOT NULL,
    conversion_id INTEGER,
    adjustments INTEGER,
    unique_id TEXT NOT NULL,
    order_id TEXT NOT NULL,
    click_id TEXT NOT NULL,
    their_amount INTEGER,
    their_payout INTEGER,
    their_status TEXT,
    their_currency TEXT,
    their_date INTEGER,
    our_amount INTEGER,
    our_status TEXT,
    our_currency TEXT,
    our_date INTEGER,
    PRIMARY KEY (reconciliation_id, position)
) STRICT, WITHOUT ROWID;
