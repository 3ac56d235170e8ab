"""DRAM: timing standards, and the exact event-driven controller that is checked against DRAM simulators."""
