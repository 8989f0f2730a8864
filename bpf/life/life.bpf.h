/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Connections: when they open, what they have done, and how they end. */
#pragma once

#include "life/counts.bpf.h"
#include "life/ending.bpf.h"
#include "life/life_map.bpf.h"
#include "life/options.h"
#include "life/reset.bpf.h"
#include "lib/ring.h"
#include "lib/stats.h"
#include "lib/track.h"

/* Times and role. */
static __always_inline void life_tell(struct life_event *ev, const struct life *life)
{
	ev->life = ev->opened = DURATION_UNKNOWN;
	if (!life)
		return;
	ev->role = life->role;
	if (life->began)
		ev->life = ev->ts - life->began;
	if (life->flags & LIFE_OPENED_KNOWN)
		ev->opened = life->opened;
}

static __always_inline bool end_wanted(const struct life_event *ev)
{
	__u32 ends = 1 << ev->ending.end;

	if (ev->ending.if_reply)
		ends |= 1 << ev->ending.if_reply;
	if (ev->ending.if_abort)
		ends |= 1 << ev->ending.if_abort;
	return life_options.ends & ends;
}

static __always_inline bool life_wanted(const struct life_event *ev, const struct owner *owner)
{
	if (owner_filtered() && !(owner && owner->flags & OWNER_MATCHES))
		return false;
	if (!flow_matches(&ev->flow))
		return false;
	if (ev->kind == LIFE_OPENED)
		return true;
	/* an unknown time is not known to be longer or shorter */
	if (life_options.longer && (ev->life == DURATION_UNKNOWN || ev->life < life_options.longer))
		return false;
	/* DURATION_UNKNOWN is longer than any */
	if (life_options.shorter && ev->life > life_options.shorter)
		return false;
	return ev->tx_bytes + ev->rx_bytes >= life_options.bytes && end_wanted(ev);
}

static __always_inline void life_own(struct life_event *ev, const struct owner *owner)
{
	if (!owner)
		return;
	ev->cgroup = owner->cgroup;
	ev->pid = owner->pid;
	__builtin_memcpy(ev->comm, owner->comm, COMM_LEN);
}

/* Whether the event was sent. */
static __always_inline bool life_emit(struct life_event *ev, const struct owner *owner,
				      struct stats *st)
{
	st->attempted++;
	if (!life_wanted(ev, owner)) {
		st->filtered++;
		return false;
	}
	life_own(ev, owner);
	if (bpf_ringbuf_output(&events, ev, sizeof(*ev),
			       wake_flags_of_many(&events, st->attempted - st->filtered))) {
		st->lost++;
		return false;
	}
	return true;
}

/* connect() begins, maybe not the socket's first. */
static __always_inline void life_on_connect(struct sock *sk, __u64 now, struct stats *st)
{
	struct life *life = life_make(sk);

	if (!life) {
		st->untracked++;
		return;
	}
	life->began = now;
	life->role = ROLE_CLIENT;
	life->flags = LIFE_CALLED;
}

/* The handshake is done. */
static __always_inline void life_on_established(struct sock *sk, int old_state, __u64 now,
						struct stats *st, enum access how)
{
	struct life *life = old_state == TCP_SYN_RECV ? life_make(sk) : life_find(sk);
	struct life_event ev = {.ts = now, .kind = LIFE_OPENED, .state = TCP_ESTABLISHED};
	struct track *track;

	if (!life) {
		if (old_state == TCP_SYN_RECV)
			st->untracked++;
	} else if (life->began) {
		life->opened = now - life->began;
		life->flags |= LIFE_OPENED_KNOWN;
	} else {
		life->began = now;
		life->opened = 0;
		life->role = ROLE_SERVER;
		if (life->flags & LIFE_ACCEPTED)
			life->flags |= LIFE_OPENED_KNOWN;
	}
	if (!life_options.opens)
		return;
	flow_read(&ev.flow, &sk->__sk_common, how);
	life_tell(&ev, life);
	track = track_find(sk);
	life_emit(&ev, track ? &track->owner : NULL, st);
}

static __always_inline void life_on_close(struct sock *sk, int old_state, __u64 now,
					  const struct track *track, struct stats *st,
					  enum access how)
{
	struct life_event ev = {.ts = now, .kind = LIFE_ENDED, .state = old_state};
	struct tcp_sock *tp = tcp_of(sk, how);
	const struct verdict *verdict;

	reset_skip(sk);
	verdict = tp ? verdict_of(sk, tp, track, old_state, how) : NULL;
	if (!verdict)
		return;
	flow_read_closing(&ev.flow, sk, how);
	life_tell(&ev, life_find(sk));
	life_count(&ev, tp, verdict->sock.flags & SOCK_DONE, how);
	ev.cookie = cookie_of(sk, how);
	ev.ending = verdict->ending;
	if (life_emit(&ev, track ? &track->owner : NULL, st))
		reset_await(&ev.ending, ev.ts);
}

static __always_inline void life_on_transition(struct sock *sk, int old_state, int new_state,
					       enum access how)
{
	struct stats *st = stats_here();
	__u64 now = bpf_ktime_get_ns();
	struct track *track;

	if (!st || !is_tcp(sk, how))
		return;
	if (new_state == TCP_ESTABLISHED) {
		life_on_established(sk, old_state, now, st, how);
		return;
	}
	if (new_state == TCP_FIN_WAIT2 || new_state == TCP_CLOSE_WAIT || new_state == TCP_CLOSING)
		return;
	track = track_make(sk);
	if (track)
		owner_on_transition(track, sk, old_state, new_state, how);
	else
		st->untracked++;
	if (new_state == TCP_SYN_SENT) {
		reset_forget(track);
		life_on_connect(sk, now, st);
	}
	if (new_state == TCP_CLOSE && old_state != TCP_LISTEN)
		life_on_close(sk, old_state, now, track, st, how);
}

/* accept() has returned a child to the current process. */
static __always_inline void life_on_accept(struct sock *child, enum access how)
{
	__u64 now = bpf_ktime_get_ns();
	struct life *life;

	/* socket storage needs a pointer that the verifier knows */
	if (how != BTF_PTR && !options.use_hash)
		return;
	owner_on_accept(child);
	life = life_make(child);
	if (!life || life->flags & LIFE_OPENED_KNOWN)
		return;
	if (!life->began) {
		life->flags |= LIFE_ACCEPTED;
		return;
	}
	life->opened = now - life->began;
	life->flags |= LIFE_OPENED_KNOWN;
}

/* A reset is sent, for a segment or (active) without. */
static __always_inline void life_on_reset(struct sock *sk, bool active, enum access how)
{
	struct life_event ev = {.ts = bpf_ktime_get_ns(), .kind = LIFE_RST};
	struct stats *st = stats_here();

	if (!st)
		return;
	ev.life = reset_sent(&ev.ending, sk, active, how);
	if (!ev.life)
		return;
	/* part of an event that is counted already */
	if (bpf_ringbuf_output(&events, &ev, sizeof(ev), ring_wake_flags())) {
		st->attempted++;
		st->lost++;
	}
}
