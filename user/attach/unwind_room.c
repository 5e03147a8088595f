// SPDX-License-Identifier: BSD-2-Clause
#include "attach/unwind_room.h"

#include <stdlib.h>
#include <string.h>

#include "base/vec.h"

int room_init(struct room *room, uint32_t n)
{
	*room = (struct room){0};
	return vec_push(room, (struct room_gap){0, n});
}

void room_done(struct room *room)
{
	free(room->items);
	*room = (struct room){0};
}

int room_take(struct room *room, uint32_t n, uint32_t *ret_first)
{
	size_t i = 0;

	/* Between the runs that are out there is at most one gap each, and one behind the last: room_give never needs memory. */
	while (room->cap < room->n_taken + 2)
		if (vec_reserve((void **)&room->items, &room->cap, room->cap, sizeof(*room->items)))
			return -ENOMEM;
	while (i < room->n && room->items[i].n < n)
		i++;
	if (i == room->n)
		return -ENOSPC;
	*ret_first = room->items[i].first;
	room->items[i].first += n;
	room->items[i].n -= n;
	if (!room->items[i].n)
		memmove(&room->items[i], &room->items[i + 1],
			(--room->n - i) * sizeof(*room->items));
	room->n_taken++;
	return 0;
}

void room_give(struct room *room, uint32_t first, uint32_t n)
{
	size_t i = 0;

	while (i < room->n && room->items[i].first < first)
		i++;
	room->n_taken--;
	if (i && room->items[i - 1].first + room->items[i - 1].n == first) {
		room->items[--i].n += n;
	} else {
		memmove(&room->items[i + 1], &room->items[i], (room->n - i) * sizeof(*room->items));
		room->items[i] = (struct room_gap){first, n};
		room->n++;
	}
	if (i + 1 < room->n &&
	    room->items[i].first + room->items[i].n == room->items[i + 1].first) {
		room->items[i].n += room->items[i + 1].n;
		room->n--;
		memmove(&room->items[i + 1], &room->items[i + 2],
			(room->n - i - 1) * sizeof(*room->items));
	}
}
