"""What can be ordered, for how much; the prices of new orders come from here and from nowhere else."""

from __future__ import annotations

from decimal import Decimal

from sqlalchemy import Boolean, CheckConstraint, Column, Numeric, text
from sqlmodel import Field, SQLModel

from .columns import MONEY, TEXT, column
from .tags import PRODUCT_DATA


class Product(SQLModel, table=True):
    """The price includes value added tax; a product that is not active cannot be ordered."""

    __tablename__ = "product"
    __table_args__ = (CheckConstraint("unit_price >= 0", name="unit_price_is_not_negative"),)
    sku: str = Field(sa_column=Column(TEXT, primary_key=True, info={"tag": PRODUCT_DATA}))
    name: str = column(TEXT, PRODUCT_DATA)
    unit_price: Decimal = column(MONEY, PRODUCT_DATA)
    currency: str = column(TEXT, PRODUCT_DATA)
    vat_rate: Decimal = column(Numeric(5, 2), PRODUCT_DATA)
    active: bool = column(Boolean(), PRODUCT_DATA, server_default=text("true"))
