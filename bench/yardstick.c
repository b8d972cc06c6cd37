/*
 * The yardstick: the checks that the model makes on one interrupt request under the same profile, as a C programmer
 * would write them, over flat memory. Built with gcc -O2 and run by run.mjs beside the model.
 *
 *   yardstick WORKLOAD ENTRIES REPEATS   prints "nanoseconds-per-request checksum", the time of the best repeat
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { REQUESTS = 65536, APICS = 256, DESCRIPTORS = 256, MEMORY = 4 << 20, TABLE = 1 << 20, DESCRIPTOR_BASE = 2 << 20 };

enum mode {
	IRES = 1, EIME = 2, CFIS = 4, EIM_REQUIRED = 8, REMAPPING_REQUIRED = 16, POSTING = 32, CACHE = 64,
	COMPATIBILITY_PASSES = 128, BUS_SWAPPED = 256, FORMAT_FIRST = 512, REQUEST_LAST = 1024, WRAPS = 2048,
	UNBOUNDED = 4096, DESTINATION_MASKED = 8192, FORMAT_UNCHECKED = 16384, POSTING_IGNORED = 32768,
	NOT_RECORDED = 65536, UNKNOWN_PASSES = 131072, SVT_MISMATCH = 262144,
};

enum outcome { PASSED, REMAPPED, POSTED, BLOCKED };

struct cached { uint32_t tag, word[4], pad[3]; };

struct apic { uint32_t irr[8], tmr[8], isr[8], id, enabled, pad[38]; };

struct record { uint32_t word[4]; };

struct unit {
	uint32_t mode, entries, width, records, compresses, fault_index, fsts;
	uint64_t base;
	struct cached *cache;
	struct record record[8];
	uint32_t reason, requester, index, address, data, entry[4], recorded;
};

static uint8_t *memory;
static struct apic apics[APICS] __attribute__((aligned(64)));
/* By id: the slot of an APIC; of one that takes fixed interrupts with nothing else to see to; -1 for none. */
static int near[4096], ready[4096];

static uint32_t load(uint64_t address)
{
	uint32_t value;
	memcpy(&value, memory + address, 4);
	return value;
}

static void store(uint64_t address, uint32_t value)
{
	memcpy(memory + address, &value, 4);
}

/* ---- local APICs, x2APIC mode ---- */

static int accept_fixed(int slot, uint32_t vector, uint32_t level)
{
	struct apic *apic = &apics[slot];
	uint32_t bit = 1u << (vector & 31);
	if (!apic->enabled || vector < 16)
		return 0;
	apic->irr[vector >> 5] |= bit;
	if (level)
		apic->tmr[vector >> 5] |= bit;
	else
		apic->tmr[vector >> 5] &= ~bit;
	return 1;
}

static int deliver(uint32_t destination, uint32_t logical, uint32_t hint, uint32_t mode, uint32_t vector, uint32_t level)
{
	uint32_t members, first;
	int accepted = 0;
	if (!(logical | mode | destination >> 12) && vector - 16 < 240 && ready[destination] >= 0) {
		struct apic *apic = &apics[ready[destination]];
		uint32_t bit = 1u << (vector & 31);
		apic->irr[vector >> 5] |= bit;
		apic->tmr[vector >> 5] = level ? apic->tmr[vector >> 5] | bit : apic->tmr[vector >> 5] & ~bit;
		return 1;
	}
	if (mode || hint || !logical)
		return 0;
	first = (destination >> 16) << 4;
	for (members = destination & 0xffff; members; members &= members - 1) {
		uint32_t id = first | (uint32_t)__builtin_ctz(members);
		if (id < 4096 && near[id] >= 0)
			accepted += accept_fixed(near[id], vector, level);
	}
	return accepted;
}

/* ---- the unit ---- */

static int record_fault(struct unit *u, uint32_t reason, uint32_t requester, uint32_t index)
{
	struct record *r;
	if (u->fsts & 1)
		return 0;
	r = &u->record[u->fault_index];
	if (r->word[3] >> 31) {
		u->fsts |= 1;
		return 0;
	}
	r->word[0] = 0;
	r->word[1] = index << 16;
	r->word[2] = requester & 0xffff;
	r->word[3] = 1u << 31 | reason;
	if (!(u->fsts & 2))
		u->fsts = (u->fsts & ~0xff00u) | 2 | u->fault_index << 8;
	u->fault_index = (u->fault_index + 1) % u->records;
	return 1;
}

static int block(struct unit *u, uint32_t reason, uint32_t address, uint32_t data, uint32_t requester, uint32_t index, int silent)
{
	u->recorded = !silent && !(u->mode & NOT_RECORDED) && record_fault(u, reason, requester, index & 0xffff);
	u->reason = reason;
	u->requester = requester;
	u->index = index;
	u->address = address;
	u->data = data;
	return BLOCKED;
}

static int block_entry(struct unit *u, uint32_t reason, const uint32_t *e, uint32_t address, uint32_t data, uint32_t requester, uint32_t index)
{
	memcpy(u->entry, e, 16);
	return block(u, reason, address, data, requester, index, e[0] >> 1 & 1);
}

static int bad_format(const struct unit *u, const uint32_t *e)
{
	uint32_t dlm = e[0] >> 5 & 7;
	if ((e[0] & 0x8000) && !(u->mode & POSTING_IGNORED)) {
		if (!(u->mode & POSTING) || (e[0] & 0xff0030fc) || (e[1] & 0x3f) || (e[2] & 0xfff00000))
			return 1;
		return (e[2] >> 18 & 3) == 3 || ((uint64_t)e[3] << 32) >> u->width;
	}
	if ((e[0] & 0xff007000) || (e[2] & 0xfff00000) || e[3])
		return 1;
	if (!(u->mode & (EIME | DESTINATION_MASKED)) && (e[1] & 0xffff00ff))
		return 1;
	if (u->mode & FORMAT_UNCHECKED)
		return 0;
	if (dlm == 2 && (e[0] >> 16 & 0xff))
		return 1;
	return dlm == 3 || dlm == 6 || (e[2] >> 18 & 3) == 3;
}

static uint32_t source_fault(const struct unit *u, uint32_t source, uint32_t requester)
{
	static const uint32_t masks[4] = { 0xffff, 0xfffb, 0xfff9, 0xfff8 };
	int unverified = requester == ~0u || (requester == 0xffff && (u->mode & UNKNOWN_PASSES));
	uint32_t bus, first, last;
	switch (source >> 18 & 3) {
	case 0:
		return 0;
	case 1:
		if (!((source ^ requester) & masks[source >> 16 & 3]))
			return 0;
		return unverified ? 0 : 0x26;
	case 2:
		if (unverified)
			return 0;
		bus = requester >> 8 & 0xff;
		first = u->mode & BUS_SWAPPED ? source & 0xff : source >> 8 & 0xff;
		last = u->mode & BUS_SWAPPED ? source >> 8 & 0xff : source & 0xff;
		return bus >= first && bus <= last ? 0 : 0x26;
	default:
		return !unverified && (u->mode & SVT_MISMATCH) ? 0x26 : 0;
	}
}

static int post(struct unit *u, const uint32_t *e, uint32_t address, uint32_t data, uint32_t requester, uint32_t index)
{
	uint64_t pda = (uint64_t)e[3] << 32 | (e[1] & 0xffffffc0);
	uint32_t vector = e[0] >> 16 & 0xff, control, target;
	if (pda + 64 > MEMORY)
		return block_entry(u, 0x27, e, address, data, requester, index);
	control = load(pda + 32);
	target = load(pda + 36);
	if ((control & 0xff00fffc) || (!(u->mode & EIME) && (target & 0xffff00ff)))
		return block_entry(u, 0x28, e, address, data, requester, index);
	store(pda + (vector >> 5) * 4, load(pda + (vector >> 5) * 4) | 1u << (vector & 31));
	if (!(control & 1) && (!(control & 2) || (e[0] >> 14 & 1))) {
		store(pda + 32, control | 1);
		deliver(u->mode & EIME ? target : target >> 8 & 0xff, 0, 0, 0, control >> 16 & 0xff, 0);
	}
	return POSTED;
}

__attribute__((noinline)) static int interrupt(struct unit *u, uint32_t address, uint32_t data, uint32_t requester)
{
	uint32_t mode = u->mode, index, source, fetched[4];
	const uint32_t *e;
	int bad;
	if (!(mode & IRES))
		return mode & REMAPPING_REQUIRED ? block(u, 0x2b, address, data, requester, 0, 0) : PASSED;
	if ((mode & (EIM_REQUIRED | EIME)) == EIM_REQUIRED)
		return block(u, 0x2a, address, data, requester, 0, 0);
	if (!(address & 16)) {
		if ((mode & (EIME | CFIS)) == CFIS || (mode & COMPATIBILITY_PASSES))
			return PASSED;
		return block(u, 0x25, address, data, requester, 0, 0);
	}
	index = (address >> 5 & 0x7fff) | (address << 13 & 0x8000);
	if (address & 8) {
		if ((data & 0xffff0000) && !(mode & REQUEST_LAST))
			return block(u, 0x20, address, data, requester, 0, 0);
		index += data & 0xffff;
	}
	if (index >= u->entries) {
		if (mode & WRAPS)
			index &= 0xffff;
		if (index >= u->entries && !(mode & UNBOUNDED))
			return block(u, 0x21, address, data, requester, index, 0);
	}
	if ((mode & CACHE) && u->cache[index].tag) {
		e = u->cache[index].word;
		bad = u->cache[index].tag >> 1;
	} else {
		if (u->base + index * 16ull + 16 > MEMORY)
			return block(u, 0x23, address, data, requester, index, 0);
		memcpy(fetched, memory + u->base + index * 16ull, 16);
		e = fetched;
		bad = bad_format(u, e);
		if ((mode & CACHE) && (e[0] & 1) && !bad) {
			u->cache[index].tag = 1;
			memcpy(u->cache[index].word, e, 16);
		}
	}
	if (!(e[0] & 1))
		return block_entry(u, 0x22, e, address, data, requester, index);
	source = source_fault(u, e[2], requester);
	if (bad && (!source || (mode & FORMAT_FIRST)))
		return block_entry(u, 0x24, e, address, data, requester, index);
	if (source)
		return block_entry(u, source, e, address, data, requester, index);
	if ((mode & REQUEST_LAST) && (address & 8) && (data & 0xffff0000))
		return block(u, 0x20, address, data, requester, 0, 0);
	if ((e[0] & 0x8000) && !(mode & POSTING_IGNORED))
		return post(u, e, address, data, requester, index);
	deliver(mode & EIME ? e[1] : e[1] >> 8 & 0xff, e[0] >> 2 & 1, e[0] >> 3 & 1, e[0] >> 5 & 7, e[0] >> 16 & 0xff, e[0] >> 4 & 1);
	return REMAPPED;
}

/* ---- the workload: the same random numbers as workload.mjs ---- */

static uint32_t seed;

static uint32_t next(uint32_t bound)
{
	seed ^= seed << 13;
	seed ^= seed >> 17;
	seed ^= seed << 5;
	return seed % bound;
}

static uint32_t ids[65536];

static void put(int mixed, uint32_t index)
{
	uint32_t word[4] = { 0 }, kind = mixed ? next(100) : 99, vector = 16 + next(240), target = next(APICS);
	uint32_t sid = index & 0xffff, sq = 0, svt = 1;
	ids[index] = sid;
	word[0] = 1 | vector << 16;
	word[1] = target;
	if (kind < 25) {
		word[0] |= 0x8000 | (next(8) == 0) << 14;
		word[1] = DESCRIPTOR_BASE + 64 * target;
	} else if (kind < 31) {
		word[0] |= 4;
		word[1] = (target >> 4) << 16 | (1 + next(0xffff));
	} else if (kind < 33) {
		word[0] &= ~1u;
	} else if (kind < 35) {
		ids[index] ^= 1;
	} else if (kind < 37) {
		word[2] |= 1u << 20;
	} else if (kind < 45) {
		sq = 1 + next(3);
	} else if (kind < 53) {
		svt = 2;
		sid = (index & 0xff00) | index >> 8;
	} else if (kind < 57) {
		svt = 0;
	}
	word[2] |= sid | sq << 16 | svt << 18;
	memcpy(memory + TABLE + 16 * index, word, 16);
}

int main(int count, char **argument)
{
	static uint32_t stream[REQUESTS][3];
	int mixed = count > 1 && !strcmp(argument[1], "mixed"), cached = count > 1 && strcmp(argument[1], "full");
	uint32_t entries = count > 2 ? (uint32_t)atoi(argument[2]) : 256, repeats = count > 3 ? (uint32_t)atoi(argument[3]) : 16;
	uint32_t checksum = 0, outcomes = 0, i, r, w;
	struct timespec from, to;
	double best = 0;
	struct unit u = { .mode = IRES | EIME | POSTING | (cached ? CACHE : 0), .entries = entries, .width = 52, .records = 8, .base = TABLE };
	memory = calloc(1, MEMORY);
	u.cache = calloc(65536, sizeof *u.cache);
	seed = 0x2545f491;
	for (i = 0; i < 4096; i++)
		near[i] = ready[i] = i < APICS ? (int)i : -1;
	for (i = 0; i < APICS; i++) {
		apics[i].id = i;
		apics[i].enabled = 1;
		store(DESCRIPTOR_BASE + 64 * i + 32, 0xf2 << 16);
		store(DESCRIPTOR_BASE + 64 * i + 36, i);
	}
	for (i = 0; i < entries; i++)
		put(mixed, i);
	for (i = 0; i < REQUESTS; i++) {
		uint32_t index = next(entries);
		stream[i][0] = 0xfee00018 | (index & 0x7fff) << 5 | (index >> 15) << 2;
		stream[i][1] = 0;
		stream[i][2] = ids[index];
	}
	for (r = 0; r < repeats; r++) {
		double time;
		clock_gettime(CLOCK_MONOTONIC, &from);
		for (i = 0; i < REQUESTS; i++)
			outcomes = outcomes * 3 + (uint32_t)interrupt(&u, stream[i][0], stream[i][1], stream[i][2]);
		clock_gettime(CLOCK_MONOTONIC, &to);
		time = ((double)(to.tv_sec - from.tv_sec) * 1e9 + (double)(to.tv_nsec - from.tv_nsec)) / REQUESTS;
		if (r == 0 || time < best)
			best = time;
	}
	for (i = 0; i < APICS; i++)
		for (w = 0; w < 8; w++)
			checksum = checksum * 31 + (apics[i].irr[w] ^ apics[i].tmr[w] << 1);
	for (i = 0; i < DESCRIPTORS; i++)
		for (w = 0; w < 10; w++)
			checksum = checksum * 31 + load(DESCRIPTOR_BASE + 64 * i + 4 * w);
	printf("%.3f %08x\n", best, checksum * 31 + outcomes);
	return 0;
}
