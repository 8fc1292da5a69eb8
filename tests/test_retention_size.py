"""A run over a large register keeps to its memory: as many customers as `RETENTION_CUSTOMERS` says."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.retaining import store
from tests.sealing import execute

pytestmark = [pytest.mark.slow, pytest.mark.alone, pytest.mark.timeout(7200)]

CUSTOMERS = int(os.environ.get("RETENTION_CUSTOMERS", "100000"))
DAY, MEGABYTES = "2026-03-01", 400
KEY = "(lpad(to_hex(n), 8, '0') || '{0}000-7000-8000-000000000000')::uuid"
# Of ten customers one is over and warned, one is to be warned; each has an order whose delivery ended.
FILL = (
    f"""INSERT INTO customer (id, number, first_name, surname, email, unsubscribe_token, created_at,
        last_active_at)
    SELECT {KEY.format("1")}, 'C-' || n, 'Aino', 'Esimerkki', n || '@store.example', 'token-' || n,
        '2020-01-01Z', CASE n % 10 WHEN 0 THEN '2024-01-01Z' WHEN 1 THEN '2024-03-15Z' ELSE '2026-02-01Z' END
        ::timestamptz FROM generate_series(1, {CUSTOMERS}) n""",
    f"""INSERT INTO orders (id, number, customer_id, placed_at, status, currency, total, payment_method,
        payment_status, billing_name) SELECT {KEY.format("2")}, 'O-' || n, {KEY.format("1")}, '2025-11-01Z',
        'COMPLETED', 'EUR', 1, 'CARD', 'PAID', 'Aino' FROM generate_series(1, {CUSTOMERS}) n""",
    f"""INSERT INTO delivery (id, reference, order_id, customer_id, service_code, status, parcel_count,
        recipient_name, recipient_phone, recipient_email, created_at, delivered_at)
        SELECT {KEY.format("3")}, 'D-' || n, {KEY.format("2")}, {KEY.format("1")}, 'HOME', 'DELIVERED', 1,
        'Aino', '+358401234567', n || '@store.example', '2025-11-01Z', '2025-11-05Z'
        FROM generate_series(1, {CUSTOMERS}) n""",
    """INSERT INTO retention_warning SELECT id, '2026-01-01Z' FROM customer
    WHERE last_active_at < '2024-02-01Z'""",
    "ANALYZE",
)
# Prints the largest memory the command needed, in kilobytes; `ru_maxrss` would count that of pytest, too.
PROGRAM = """
import re, sys
from gateway.cli import cli
cli(sys.argv[1:], standalone_mode=False)
print(re.search(r"VmHWM:\\s+(\\d+) kB", open("/proc/self/status").read())[1], file=sys.stderr)"""


def test_a_run_over_many_keeps_to_its_memory_and_does_all_of_it(server_url: str, tmp_path: Path) -> None:
    with store(server_url, tmp_path) as shop:
        execute(shop.url, *FILL)
        environment = os.environ | {
            "GATEWAY_DATABASE_URL": shop.url,
            "GATEWAY_KEEPER_DATABASE_URL": shop.keeper_url,
            "GATEWAY_SIGNING_KEY_FILE": str(shop.settings.signing_key_file),
        }
        for more in (["--dry-run", "--json"], ["--json"]):
            command = [sys.executable, "-c", PROGRAM, "retention", "run", "--at", DAY, *more]
            started = time.monotonic()
            with (tmp_path / "listed").open("w") as listed:
                done = subprocess.run(
                    command, env=environment, stdout=listed, stderr=subprocess.PIPE, check=True, text=True
                )
            megabytes = int(done.stderr.split()[-1]) // 1024
            with (tmp_path / "listed").open() as listed:
                rows = sum(1 for line in listed if line.startswith('{"rule"'))
            took = time.monotonic() - started
            print(f"{more} {CUSTOMERS} customers: {rows} rows, {took:.0f} s, {megabytes} MB")
            # Deliveries, accounts with their warnings, and new warnings.
            assert rows == CUSTOMERS + 3 * (CUSTOMERS // 10)
            assert megabytes < MEGABYTES
        emptied = "SELECT count(*) FROM customer WHERE erased_at IS NOT NULL AND email IS NULL"
        assert shop.sql(emptied)[0][0] == CUSTOMERS // 10
        assert shop.sql("SELECT count(*) FROM delivery WHERE recipient_phone IS NOT NULL")[0][0] == 0
        assert shop.sql("SELECT count(*) FROM mail")[0][0] == CUSTOMERS // 10
