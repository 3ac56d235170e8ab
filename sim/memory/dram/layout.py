"""Where everything lies in the controller's integer arrays, and what its parameters are called.

A whole memory is one array `S`: parameters, what the channels share, one contiguous block per channel (it
fits the host's L1 cache), then requests and accesses. One array because every further array argument costs
a call several registers; offsets are module constants, which compiled code folds. Places are absolute offsets
into S: of a channel (`base`), a queue entry (`e`), an access (`k`), a request (`r`). A channel block holds a
header, one block per pseudo-channel, stack id, bank group and bank, lists, then the entry pool.
"""

import numpy as np
import numpy.typing as npt

IntArray = npt.NDArray[np.int64]

INF = 1 << 60

# Commands, as they appear in logs.
ACT, PRE, RD, WR, REF, REFPB, PREAB, AUTO_PRE = 1, 2, 3, 4, 5, 6, 7, 8

# --- channel header -------------------------------------------------------------------------------
H_WAKE = 23  # nothing happens before this tick without an arrival
H_SEQ = 0  # next sequence number of a queued access
H_FREE = 1  # head of the list of free pool entries
H_FIFO = 2  # next access of the source FIFO to hand over
H_FIFO_END = 3  # one past the last admitted access
H_ROW_BUS = 4  # row commands not before
H_COL_BUS = 5  # column commands not before
H_REFRESH_AT = 6  # next refresh falls due
H_READS = 7  # accesses in the read queue
H_WRITES = 8  # accesses in the write queue
H_MODE = 9  # 1: writes are served (FR-FCFS); writes left to drain (bank queues)
H_TURN = 10  # bank served last (bank queues)
H_ACTIVE = 11  # accesses in the active list (FR-FCFS)
H_LAST = 12  # tick of the last step
H_PRIO = 13  # refresh commands waiting: first ...
H_PRIO_END = 14  # ... and one past the last
H_REF_BANK = 15  # next bank to refresh
H_PAIR_AT = 16  # falling edge on which the pairing rule holds
H_PAIR_PC = 17
H_PAIR_BANK = 18  # bank of the rising-edge row command, -1 for all banks
H_QUEUED = 19  # accesses in the command queues (bank queues)
H_IN_REF = 20  # a refresh waits (bank queues)
H_SENT = 21  # pending per-bank refreshes not yet in the priority queue
H_SET_AT = 22  # next set of per-bank refreshes may not start before
H_RQ_HEAD, H_RQ_TAIL, H_WQ_HEAD, H_WQ_TAIL = 24, 25, 26, 27  # transaction queues (bank queues)
H_N_ACT, H_N_PRE, H_N_REF, H_N_RD, H_N_WR = 28, 29, 30, 31, 32
H_STUCK = 33  # 1: the last scan of the transaction queue found no bank queue with room
FLOOR0 = 34  # [command] what the channel as a whole allows (bank queues)
SOONEST0 = 39  # [command] lowest bound of the banks that wait for it (bank queues)
SOON_COL, SOON_ACT, SOON_PRE = 44, 46, 48  # [direction] lowest bound of the banks (FR-FCFS)
COL_FLOOR, ACT_FLOOR = 34, 39  # [pseudo-channel] what it allows (FR-FCFS, in place of the two above)

PC0, PC_STRIDE, MAX_PC = 56, 16, 4
C_RD, C_WR, C_ACT, C_PRE, C_PREAB, C_REFAB, C_REFPB, C_OPEN, C_FAW_AT, C_FAW = 0, 1, 2, 3, 4, 5, 6, 7, 8, 9

SID0, MAX_SID = PC0 + PC_STRIDE * MAX_PC, 128  # reads of this stack id not before

BG0, BG_STRIDE, MAX_BG = SID0 + MAX_SID, 4, 128
BG_RD, BG_WR, BG_ACT = 0, 1, 2

BANK0, BANK_STRIDE, MAX_BANK = BG0 + BG_STRIDE * MAX_BG, 16, 128
B_OPEN, B_HITS, B_ACT, B_RD, B_WR, B_PRE, B_REFPB, B_ACTIVE = 0, 1, 2, 3, 4, 5, 6, 7
# For both directions d (0 reads, 1 writes): oldest, newest, oldest row hit.
B_HEAD, B_TAIL, B_HIT, B_COUNT = 8, 10, 12, 14
# Adaptive page policy (FR-FCFS, which keeps no count): row closed early, and 0..3 how much closing pays.
B_LAST_ROW, B_LEAN = 14, 15

LB_COL = BANK0 + BANK_STRIDE * MAX_BANK  # [direction][bank] no column command before (lower bound)
LB_ROW = LB_COL + 2 * MAX_BANK
LIST0 = LB_ROW + 2 * MAX_BANK  # [direction] banks with queued accesses, dense
LIST_LEN = LIST0 + 2 * MAX_BANK
POS0 = LIST_LEN + 2  # [direction][bank] place in the list
ALIST0 = POS0 + 2 * MAX_BANK  # active entries in order of activation
PRIO0, PRIO_RING = ALIST0 + MAX_BANK, 256  # pending refresh commands: command * MAX_BANK + target
FILTER0, FILTER_SIZE = PRIO0 + PRIO_RING, 256  # counting filter of queued write and read addresses
POOL0, E_STRIDE = FILTER0 + 2 * FILTER_SIZE, 8
E_NEXT, E_PREV, E_ROW, E_ACC, E_SEQ, E_ARRIVE, E_WR, E_BANK = 0, 1, 2, 3, 4, 5, 6, 7

# --- accesses of the stream, grouped by channel ---------------------------------------------------
A_STRIDE = 8
A_BANK, A_ROW, A_REQ, A_WR, A_TAG, A_LINK = 0, 1, 2, 3, 4, 5

# --- requests, in stream order --------------------------------------------------------------------
R_STRIDE = 8
R_ARRIVE, R_LEFT, R_ADMIT, R_TAKEN, R_DONE = 0, 1, 2, 3, 4

LOG_STRIDE = 5  # tick, channel base, command, bank or pseudo-channel, row

# --- shared by all channels -----------------------------------------------------------------------
G_NEXT = 64  # next request to admit, ...
G_END = 65  # ... and one past the last
G_COUNT = 66  # requests in the stream
G_INFLIGHT = 67
G_WINDOW = 68  # 0: unlimited
G_RETIRED = 69  # completions up to this tick have left the window
G_FINISHED = 70  # requests whose completion tick is known
G_LAST_DONE = 71
G_CHANNELS_END = 72  # one past the last channel
G_WIDTH = 73  # of a channel
G_SPLIT = 74  # accesses per request
G_NEXT_CHANNEL = 75  # place in the list of the channels of all accesses, in stream order
G_ADMITTED_AT = 76  # tick of the last admission
G_LOG_AT = 77  # next free place in the command log ...
G_LOG_END = 78  # ... and its end; 0: no log
G_TO_END = 79  # 1: stop once every completion is known
G_STEPS = 80  # channel steps taken
G_PENDING = 81  # completions in the ring
RING0, RING = 96, 512  # completions per tick, a ring
CHANNEL0 = RING0 + RING  # the first channel

# --- parameters, in ticks, at the start of S -------------------------------------------------------
(
    P_RCD_RD,
    P_RCD_WR,
    P_RP,
    P_RAS,
    P_RC,
    P_RTP,
    P_RTW,
    P_WTR_S,
    P_WTR_L,
    P_CCD_S,
    P_CCD_L,
    P_CCD_R,
    P_RRD_S,
    P_RRD_L,
    P_FAW,
    P_RFC,
    P_REFI,
    P_WR_PRE,
    P_LATENCY,
    P_PPD,
    P_ACT_BUS,
    P_COL_BUS,
    P_REF_PREAB,
    P_ACT_REF,
    P_PRE_REF,
    P_REF_REF,
    P_ACT_REFPB_PC,
    P_ACT_REFPB_BANK,
    P_PRE_REFPB,
    P_REFPB_ACT,
    P_REFPB_REFPB,
    P_RFCPB,
    P_REFIPB,
    P_REFRESH,
    P_RDA_ACT,
    P_WRA_ACT,
    P_RDA_REF,
    P_WRA_REF,
    P_PAGE,
    P_STARVATION_CAP,
    P_HALF_CLOCK,
    P_READ_QUEUE,
    P_WRITE_QUEUE,
    P_BANK_QUEUE,
    P_HIT_CAP,
    P_DRAIN_MIN,
    P_WRITE_HIGH,
    P_WRITE_LOW,
    P_ROW_HIT_FIRST,
    P_PCS,
    P_SIDS,
    P_BANKS,
    P_BANKS_PER_PC,
    P_PC_SHIFT,
    P_SID_SHIFT,
    P_BG_SHIFT,
    P_BANKS_PER_SID,
) = range(57)
PARAMETERS = {name[2:].lower(): i for name, i in list(globals().items()) if name.startswith("P_")}

# Refresh kinds (P_REFRESH).
NO_REFRESH, ALL_BANK, PER_BANK, PER_BANK_SETS = 0, 1, 2, 3
# Page policies (P_PAGE).
OPEN_PAGE, CLOSED_PAGE, ADAPTIVE_PAGE = 0, 1, 2
