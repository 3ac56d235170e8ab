"""The unit of shares in compiled code, which has whole numbers only."""

ONE = 1 << 16
