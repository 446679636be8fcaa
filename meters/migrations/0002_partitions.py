"""Keeps meter days in a table that PostgreSQL partitions by the month of the local day."""

from django.db import migrations

FORWARD = """
    CREATE TABLE meters_meterday_by_month (LIKE meters_meterday INCLUDING CONSTRAINTS INCLUDING STORAGE)
        PARTITION BY RANGE (local_date);
    DROP TABLE meters_meterday;
    ALTER TABLE meters_meterday_by_month RENAME TO meters_meterday;
    ALTER TABLE meters_meterday ADD CONSTRAINT meters_meterday_pkey PRIMARY KEY (channel_id, local_date);
    CREATE TABLE meters_meterday_default PARTITION OF meters_meterday DEFAULT;
"""
BACKWARD = """
    CREATE TABLE meters_meterday_plain (LIKE meters_meterday INCLUDING CONSTRAINTS INCLUDING STORAGE);
    INSERT INTO meters_meterday_plain SELECT * FROM meters_meterday;
    DROP TABLE meters_meterday;
    ALTER TABLE meters_meterday_plain RENAME TO meters_meterday;
    ALTER TABLE meters_meterday ADD CONSTRAINT meters_meterday_pkey PRIMARY KEY (channel_id, local_date);
"""


class Migration(migrations.Migration):
    dependencies = [("meters", "0001_initial")]
    operations = [migrations.RunSQL(FORWARD, BACKWARD)]
