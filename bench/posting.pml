/*
 * The posting protocol of VMX as the table of steps in packages/core/src/linux/posting has it, and the play `base` of
 * `intremap verify`: devices post to one vCPU on two CPUs, which halts, is preempted and moves. Written from the table,
 * by hand, so that a checker of its own finds what ours finds: as many states, and the same verdicts.
 *
 * One d_step is one step, and one move. What nothing in the play can tell from its place is left out: requests, and
 * the mode that only software reads.
 *
 * -DPOSTS=n (6 at most) -DHALTS=n -DPREEMPTIONS=n -DMIGRATIONS=n, and -DWITHOUT_X for a step that is left out.
 */

#ifndef POSTS
#define POSTS 2
#endif
#ifndef HALTS
#define HALTS 1
#endif
#ifndef PREEMPTIONS
#define PREEMPTIONS 1
#endif
#ifndef MIGRATIONS
#define MIGRATIONS 1
#endif

#define CPUS 2
#define NOWHERE CPUS

/* What waits at an APIC. */
#define NOTIFICATION 1
#define WAKEUP 2

/* Where the thread is: before which step. AWAY also stands for a thread whose processor is in guest mode. */
#define AWAY 0
#define CHOOSE 1
#define ENTRY_DISABLE_INTERRUPTS 2
#define ENTRY_MARK_IN_GUEST 3
#define SYNC_ON_ENTRY 4
#define ENTRY_TEST_REQUESTS 5
#define ENTRY_RESUME 6
#define EXIT_MARK_OUTSIDE 7
#define BLOCK_PREPARE 8
#define BLOCK_SET_STATE 9
#define BLOCK_CHECK 10
#define BLOCK_TEST 11
#define BLOCK_FINISH 12
#define SYNC_TEST_ON 13
#define SYNC_CLEAR_ON 14
#define SYNC_HARVEST 15
#define SCHEDULE_OUT 16
#define PUT_TEST_TARGET 17
#define PUT_SET_SN 18
#define WAKEUP_LIST_ADD 19
#define WAKEUP_SET_VECTOR 20
#define SELF_IPI 21
#define SCHEDULE_OFF 22
#define SCHEDULE_IN 23
#define LOAD_TEST_VECTOR 24
#define WAKEUP_LIST_ONCE 25
#define NDST_UPDATE 26
#define LOAD_SET_CONTROL 27
#define LOAD_CLEAR_SN 28
#define LOAD_TEST_PIR 29
#define RECOMPUTE_ON 30
#define SCHEDULE_LOADED 31

/* Where a CPU's handlers are. */
#define IDLE 0
#define PROCESSOR_CLEAR_ON 1
#define PROCESSOR_HARVEST 2
#define WALK_FIRST 3
#define WAKE 4
#define WALK_REST 5

/* Where a device is. */
#define POST 0
#define NOTIFY 1
#define SENT 2

/* The descriptor. */
byte pir;
bit on;
bit sn = 1;
bit wakes;                   /* NV is the wakeup vector */
byte ndst;

/* The vCPU and its thread. */
byte irr;
byte at = SCHEDULE_IN;
byte back;
byte resume = CHOOSE;
byte target;                 /* what is to become NDST; NOWHERE to keep it */
byte cpu;                    /* that the thread has, or had last */
byte place = NOWHERE;        /* vcpu->cpu */
bit loaded = 1;
bit in_guest;
bit blocking;
bit sleeping;
bit preempted;
bit interrupts_off;
bit halted;
bit reschedule;
byte halts = HALTS;
byte preemptions = PREEMPTIONS;
byte migrations = MIGRATIONS;

/* CPUs. */
byte apic[CPUS];
byte handler[CPUS];
bit list[CPUS];
byte listed;

/* Devices. */
#if POSTS > 0
byte device[POSTS];
byte device_to[POSTS];
byte device_vector[POSTS];
#endif
byte sent;

#define inGuest (in_guest && at == AWAY)
#define asleep (sleeping && !loaded && !preempted)
#define runsOn(c) (loaded && cpu == (c))
/* The thread can go on: no handler has its CPU. */
#define goes (loaded && handler[cpu] == IDLE && !inGuest)
#define step(x) goes && at == (x)

#define isPreemptible ((at >= ENTRY_DISABLE_INTERRUPTS && at <= SYNC_HARVEST) || (at == CHOOSE && apic[cpu] == 0))

inline leaveGuest() {
  interrupts_off = 1;
  in_guest = 0;
  at = EXIT_MARK_OUTSIDE
}

inline losesCpu() {
  resume = at;
  interrupts_off = 1;
  preempted = 1;
  at = PUT_TEST_TARGET
}

inline getsCpu(c) {
  if
  :: place != NOWHERE && place != c -> migrations--
  :: else
  fi;
  cpu = c;
  preempted = 0;
  loaded = 1;
  at = LOAD_TEST_VECTOR
}

/* A sync ends where it was called from. */
inline returns() {
  at = back;
  back = AWAY
}

#define DEVICE(i) \
  :: d_step { device[i] == POST -> \
       pir = pir | (1 << i); \
       if \
       :: on || sn -> device[i] = SENT; sent++ \
       :: else -> on = 1; device_vector[i] = (wakes -> WAKEUP : NOTIFICATION); device_to[i] = ndst; device[i] = NOTIFY \
       fi } \
  :: d_step { device[i] == NOTIFY -> \
       apic[device_to[i]] = apic[device_to[i]] | device_vector[i]; \
       device_to[i] = 0; device_vector[i] = 0; device[i] = SENT; sent++ }

#define CPU(c) \
  :: d_step { handler[c] == IDLE && runsOn(c) && inGuest && (apic[c] & NOTIFICATION) -> \
       apic[c] = apic[c] & WAKEUP; handler[c] = PROCESSOR_CLEAR_ON } \
  :: d_step { handler[c] == IDLE && runsOn(c) && inGuest && apic[c] == WAKEUP -> leaveGuest() } \
  :: d_step { handler[c] == IDLE && takes(c) && (apic[c] & NOTIFICATION) -> apic[c] = apic[c] & WAKEUP } \
  :: d_step { handler[c] == IDLE && takes(c) && (apic[c] & WAKEUP) -> \
       apic[c] = apic[c] & NOTIFICATION; handler[c] = WALK_FIRST } \
  :: d_step { handler[c] == PROCESSOR_CLEAR_ON -> on = 0; handler[c] = PROCESSOR_HARVEST } \
  :: d_step { handler[c] == PROCESSOR_HARVEST -> irr = irr | pir; pir = 0; handler[c] = IDLE } \
  :: d_step { handler[c] == WALK_FIRST -> handler[c] = (list[c] -> (on -> WAKE : WALK_REST) : IDLE) } \
  :: d_step { handler[c] == WAKE -> \
       if :: blocking -> sleeping = 0 :: else fi; \
       handler[c] = WALK_REST } \
  :: d_step { handler[c] == WALK_REST -> handler[c] = IDLE } \
  :: d_step { !loaded && !asleep && (place == NOWHERE || place == c || migrations > 0) -> getsCpu(c) }

/* The host takes interrupts there. */
#define takes(c) (!runsOn(c) || (!inGuest && !interrupts_off))

active proctype world() {
end:
  do
#if POSTS > 0
  DEVICE(0)
#endif
#if POSTS > 1
  DEVICE(1)
#endif
#if POSTS > 2
  DEVICE(2)
#endif
#if POSTS > 3
  DEVICE(3)
#endif
#if POSTS > 4
  DEVICE(4)
#endif
#if POSTS > 5
  DEVICE(5)
#endif
  CPU(0)
  CPU(1)

  /* The guest. */
  :: d_step { inGuest && handler[cpu] == IDLE && irr != 0 -> irr = 0 }
  :: d_step { inGuest && handler[cpu] == IDLE && irr == 0 && halts > 0 -> halts--; halted = 1; leaveGuest() }
  :: d_step { inGuest && handler[cpu] == IDLE && irr == 0 && preemptions > 0 ->
       preemptions--; reschedule = 1; leaveGuest() }

  /* The scheduler. */
  :: d_step { goes && at == CHOOSE && apic[cpu] == 0 && reschedule -> reschedule = 0; losesCpu() }
  :: d_step { goes && isPreemptible && !interrupts_off && !reschedule && preemptions > 0 -> preemptions--; losesCpu() }

  /* The thread. */
  :: d_step { step(CHOOSE) && apic[cpu] == 0 && !reschedule ->
       if
       :: halted && irr == 0 -> at = BLOCK_PREPARE
       :: else -> halted = 0; at = ENTRY_DISABLE_INTERRUPTS
       fi }
  :: d_step { step(ENTRY_DISABLE_INTERRUPTS) -> interrupts_off = 1; at = ENTRY_MARK_IN_GUEST }
  :: d_step { step(ENTRY_MARK_IN_GUEST) -> at = SYNC_ON_ENTRY }
  :: d_step { step(SYNC_ON_ENTRY) ->
#ifdef WITHOUT_SYNC_PIR_ON_ENTRY
       at = ENTRY_TEST_REQUESTS }
#else
       back = ENTRY_TEST_REQUESTS; at = SYNC_TEST_ON }
#endif
  :: d_step { step(ENTRY_TEST_REQUESTS) -> at = ENTRY_RESUME }
  :: d_step { step(ENTRY_RESUME) -> in_guest = 1; at = AWAY }
  :: d_step { step(EXIT_MARK_OUTSIDE) -> interrupts_off = 0; at = CHOOSE }

  :: d_step { step(BLOCK_PREPARE) -> blocking = 1; at = BLOCK_SET_STATE }
  :: d_step { step(BLOCK_SET_STATE) -> sleeping = 1; at = BLOCK_CHECK }
  :: d_step { step(BLOCK_CHECK) -> back = BLOCK_TEST; at = SYNC_TEST_ON }
  :: d_step { step(BLOCK_TEST) ->
       if
       :: irr != 0 -> at = BLOCK_FINISH
       :: else -> resume = BLOCK_SET_STATE; at = SCHEDULE_OUT
       fi }
  :: d_step { step(BLOCK_FINISH) -> sleeping = 0; blocking = 0; at = CHOOSE }

  :: d_step { step(SYNC_TEST_ON) ->
       if
       :: on -> at = SYNC_CLEAR_ON
       :: else -> returns()
       fi }
  :: d_step { step(SYNC_CLEAR_ON) -> on = 0; at = SYNC_HARVEST }
  :: d_step { step(SYNC_HARVEST) -> irr = irr | pir; pir = 0; returns() }

  /* It loses its CPU. */
  :: d_step { step(SCHEDULE_OUT) -> interrupts_off = 1; preempted = !sleeping; at = PUT_TEST_TARGET }
  :: d_step { step(PUT_TEST_TARGET) -> at = (!preempted && blocking -> WAKEUP_LIST_ADD : PUT_SET_SN) }
  :: d_step { step(PUT_SET_SN) -> sn = 1; at = SCHEDULE_OFF }
  :: d_step { step(WAKEUP_LIST_ADD) -> list[place] = 1; listed++; at = WAKEUP_SET_VECTOR }
  :: d_step { step(WAKEUP_SET_VECTOR) -> wakes = 1; at = (on -> SELF_IPI : SCHEDULE_OFF) }
  :: d_step { step(SELF_IPI) ->
#ifndef WITHOUT_SELF_IPI_AT_BLOCK
       apic[place] = apic[place] | WAKEUP;
#endif
       at = SCHEDULE_OFF }
  :: d_step { step(SCHEDULE_OFF) -> interrupts_off = 0; loaded = 0; at = AWAY }

  /* It gets one: the first is its own from the beginning. */
  :: d_step { step(SCHEDULE_IN) -> at = LOAD_TEST_VECTOR }
  :: d_step { step(LOAD_TEST_VECTOR) ->
       if
       :: !wakes && place == cpu -> at = LOAD_CLEAR_SN
       :: else -> interrupts_off = 1; target = NOWHERE; at = (wakes -> WAKEUP_LIST_ONCE : NDST_UPDATE)
       fi }
  :: d_step { step(WAKEUP_LIST_ONCE) ->
#ifndef WITHOUT_WAKEUP_LIST_ONCE
       list[place] = 0; listed--;
#endif
       at = NDST_UPDATE }
  :: d_step { step(NDST_UPDATE) ->
#ifndef WITHOUT_NDST_UPDATE
       target = cpu;
#endif
       at = LOAD_SET_CONTROL }
  :: d_step { step(LOAD_SET_CONTROL) ->
       wakes = 0; sn = 0;
       if :: target != NOWHERE -> ndst = target :: else fi;
       target = 0;
       interrupts_off = 0;
       at = LOAD_TEST_PIR }
  :: d_step { step(LOAD_CLEAR_SN) -> at = (sn -> LOAD_TEST_PIR : SCHEDULE_LOADED); sn = 0 }
  :: d_step { step(LOAD_TEST_PIR) -> at = (pir != 0 -> RECOMPUTE_ON : SCHEDULE_LOADED) }
  :: d_step { step(RECOMPUTE_ON) ->
#ifndef WITHOUT_RECOMPUTE_ON
       on = 1;
#endif
       at = SCHEDULE_LOADED }
  :: d_step { step(SCHEDULE_LOADED) -> place = cpu; at = resume; resume = AWAY }
  od
}

#define allSent (sent == POSTS)
#define nothingWaits (apic[0] == 0 && apic[1] == 0 && handler[0] == IDLE && handler[1] == IDLE)

#define onTwoLists (listed > 1)
#define notifiesInVain (allSent && at == AWAY && \
  ((in_guest && (sn || wakes || ndst != place)) || (asleep && (sn || !wakes || !list[ndst]))))
#define losesInterrupt (allSent && nothingWaits && at == AWAY && (pir != 0 || irr != 0) && \
  ((in_guest && irr == 0) || asleep))

#ifndef HEEDED
#define HEEDED (onTwoLists || notifiesInVain || losesInterrupt)
#endif

/* Moves only where something is wrong. */
active proctype monitor() {
end:
  do
  :: d_step { HEEDED -> assert(false) }
  od
}
