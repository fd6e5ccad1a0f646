-- The shop's tables. Safe to run again: nothing is dropped and nothing is changed.
CREATE SCHEMA IF NOT EXISTS support;

CREATE TABLE IF NOT EXISTS support.customers (
    id text PRIMARY KEY,
    name text NOT NULL,
    email text NOT NULL UNIQUE CHECK (email = lower(email)),
    since date NOT NULL
);

CREATE TABLE IF NOT EXISTS support.orders (
    id text PRIMARY KEY,
    customer_id text NOT NULL REFERENCES support.customers,
    status text NOT NULL CHECK (status IN ('processing', 'shipped', 'delivered', 'cancelled')),
    placed_on date NOT NULL,
    delivered_on date,
    tracking text,
    currency text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    shipping_fee numeric(12, 2) NOT NULL CHECK (shipping_fee >= 0),
    paid numeric(12, 2) NOT NULL CHECK (paid >= 0),
    recipient text NOT NULL,
    street text NOT NULL,
    postal_code text NOT NULL,
    city text NOT NULL,
    country text NOT NULL,
    cancel_reason text
);
CREATE INDEX IF NOT EXISTS orders_by_customer ON support.orders (customer_id, placed_on DESC);

CREATE TABLE IF NOT EXISTS support.order_lines (
    order_id text NOT NULL REFERENCES support.orders,
    line integer NOT NULL CHECK (line > 0),
    title text NOT NULL,
    quantity integer NOT NULL CHECK (quantity > 0),
    unit_price numeric(12, 2) NOT NULL CHECK (unit_price >= 0),
    PRIMARY KEY (order_id, line)
);

CREATE TABLE IF NOT EXISTS support.refunds (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    order_id text NOT NULL REFERENCES support.orders,
    amount numeric(12, 2) NOT NULL CHECK (amount > 0),
    reason text NOT NULL,
    -- The same key never refunds twice, whoever repeats the call.
    idempotency_key text UNIQUE,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX IF NOT EXISTS refunds_by_order ON support.refunds (order_id);

CREATE TABLE IF NOT EXISTS support.tickets (
    id text PRIMARY KEY,
    sender text NOT NULL,
    received_on date NOT NULL,
    subject text NOT NULL,
    body text NOT NULL,
    status text NOT NULL DEFAULT 'open' CHECK (status IN ('open', 'escalated')),
    urgency text CHECK (urgency IN ('low', 'normal', 'high')),
    escalation_reason text
);
