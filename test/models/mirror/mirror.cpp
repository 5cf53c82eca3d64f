// A mirrored volume: one block, two or three replicas (each is a voter, too) and witnesses up to three voters, two clients, one holder at a
// time. Sessions are taken as correct: a request at a replica is outstanding, executed or answered, a new session at a replica ends
// everything of the older one, and a handle dies when the replica promises a higher term. README.md beside this folder has the rules. The
// number of a write is its content. Some values, which no program has, are kept only for the check: the operations answered before each
// operation was issued, the values that acknowledged flushes cover, and the values that a machine crash dropped. Promise, config and intent
// map are durable.
#include "../search.hpp"
// clang-format off
#define VARIANTS(X) \
  X(BASE, "base") \
  X(SHRINK_EARLY, "shrink-early") \
  X(GROW_LATE, "grow-late") \
  X(JOIN_LATE, "join-late") \
  X(JOIN_NOFLUSH, "join-noflush") \
  X(NO_RECOMMIT, "no-recommit") \
  X(UNCLEAN_AS_CLEAN, "unclean-as-clean") \
  X(NO_PFLUSH, "no-settle-flush") \
  X(MAP_SOURCE_ONLY, "map-source-only") \
  X(MAP_TARGET_ONLY, "map-target-only") \
  X(CLEAR_EARLY, "clear-early") \
  X(CLEAR_UNFLUSHED, "clear-unflushed") \
  X(MAP_VOLATILE, "map-volatile") \
  X(RESYNC_NO_SERIAL, "resync-no-serial") \
  X(RESYNC_OLD_SESSION, "resync-old-session") \
  X(O1_ACKED_ONLY, "o1-acked-only") \
  X(READ_ANY, "read-any") \
  X(READ_FIXED, "read-fixed") \
  X(READ_UNCHECKED, "read-unchecked") \
  X(READ_CHECK_MAJ, "read-check-majority") \
  X(READ_CHECK_COM, "read-check-committed") \
  X(CLAIM_ALL, "claim-all") \
  X(LOG_AT_ACK, "log-at-ack") \
  X(READS_IN_REPLAY, "reads-in-replay") \
  X(RESYNC_FORGET, "resync-forget") \
  X(CLEAN_NOT_CLEARED, "clean-not-cleared") \
  X(CLEAN_UNFLUSHED, "clean-unflushed") \
  X(PROMISE_VOLATILE, "promise-volatile") \
  X(MINORITY, "minority") \
  X(NO_REVOKE, "no-revoke") \
  X(IDENTITY_IGNORED, "identity-ignored") \
  X(VOTER_AMNESIA, "voter-amnesia") \
  X(ANY_REPLICA, "any-replica") \
  X(COPY_NO_MAP, "copy-no-map") \
  X(SETTLE_REACHABLE, "settle-reachable") \
  X(READ_LOCK_ONE_WAY, "read-lock-one-way") \
  X(RESYNC_UNSETTLED, "resync-unsettled") \
  X(FLUSH_IN_REPLAY, "flush-in-replay") \
  X(FLUSH_STAYERS, "flush-stayers") \
  X(NO_LOG, "no-log") \
  X(MAP_BEFORE_FENCE, "map-before-fence") \
  X(PENDING_LAST_ONLY, "pending-last-only") \
  X(REOPEN_LEAVING, "reopen-leaving") \
  X(NO_SOURCE, "no-source") \
  X(MAP_NOT_INFLIGHT, "map-not-inflight") \
  X(RESYNC_UNCLAIMED, "resync-unclaimed") \
  X(REMAIN_UNCLAIMED, "remain-unclaimed")
// clang-format on
#define ENUMERATOR(id, name) id,
#define NAME(id, name) name,
enum Variant { VARIANTS(ENUMERATOR) NVARIANT };
static const char* NAMES[] = {VARIANTS(NAME)};
static int V = BASE, R = 2, WR = 2, RD = 1, FL = 1, FAULTS = 2, T = 2, D = 0, KINDS = 31;
static bool PMODE = false, QUIET = false, LATE = false;
static const int NV = 3, MW = 4, MR = 3;
static int MAJ = 2;
enum { OFF = 0, CLAIMING = 1, ATTACH = 2, SERVING = 3, OUT = 4, CRASHED = 5 };
enum { KW = 0, KCOPY = 1, KREPLAY = 2 };
struct Cfg {
  uint8_t t, k, I, cl;
};
struct Srv {
  uint8_t prom, cache, disk, wb, map, life, id;
  Cfg cfg;
}; // wb: values written since the last flush, any of which may be what a machine crash leaves
struct Cli {
  uint8_t ph, term, pt, cl, cut, sess, seen, join, dirty, nf, rep, uns, w, done, L, f, fd, fv, fg, rs, rv, rc, pm;
  uint8_t life[3], ids, q[3], z[3], pu;
  Cfg com, pen; // pu: union of the in-sync sets of all configs sent since the last one that is at a majority
};
struct St {
  Srv s[NV];
  Cli c[2];
  uint8_t wst[MW], wpred[MW], wterm[MW], rst[MR], rval[MR], rpred[MR], rterm[MR];
  uint8_t flushed, wdrop, nt, faults, nfl;
};
static int pop(int x) { return __builtin_popcount(x); }
static bool newer(const Cfg& a, const Cfg& b) { return a.t != b.t ? a.t > b.t : a.k > b.k; }
static uint8_t mk(int st, int kind, int val) { return st | kind << 2 | val << 4; }
static int qst(uint8_t q) { return q & 3; }
static int qk(uint8_t q) { return q >> 2 & 3; }
static int qv(uint8_t q) { return q >> 4; }
struct Model {
  typedef St State;
  static int ib(const Cli& k, int r) {
    return 1 << (r + (V == IDENTITY_IGNORED ? 0 : 3 * (k.ids >> r & 1)));
  } // the bit of the data that client k last saw at replica r
  static int sib(const St& s, int r) { return 1 << (r + (V == IDENTITY_IGNORED ? 0 : 3 * s.s[r].id)); }
  static int asetBits(const Cli& k) { // whose answers an acknowledgement needs (bits of data, not of servers)
    int a = k.com.I;
    if (k.pen.t) {
      if (V == SHRINK_EARLY) a = (k.com.I & k.pen.I) | (k.pen.I & ~k.com.I);
      else if (V == GROW_LATE) a = k.com.I;
      else a |= V == PENDING_LAST_ONLY ? k.pen.I : k.pu;
    }
    if (V != GROW_LATE && V != JOIN_LATE)
      for (int r = 0; r < R; r++)
        if (k.join >> r & 1) a |= ib(k, r);
    return a;
  }
  static bool allIn(const Cli& k, int bits, int mask) {
    for (int d = 0; d < 6; d++)
      if (bits >> d & 1) {
        int r = d % 3;
        if (ib(k, r) != 1 << d || !(mask >> r & 1)) return false;
      }
    return true;
  }
  static uint8_t answered(const St& s) {
    uint8_t m = 0;
    for (int i = 0; i < WR; i++)
      if (s.wst[i] == 4) m |= 1 << i;
    for (int i = 0; i < RD; i++)
      if (s.rst[i] == 4) m |= 16 << i;
    return m;
  }
  State initial() { // client 0 holds the volume, everything equal and flushed
    State s;
    memset(&s, 0, sizeof s);
    int I = (1 << R) - 1;
    Cfg g = {1, 1, (uint8_t)I, 0};
    for (int i = 0; i < NV; i++) {
      s.s[i].prom = 1;
      s.s[i].cfg = g;
    }
    Cli& k = s.c[0];
    k.ph = SERVING;
    k.term = 1;
    k.cl = (1 << NV) - 1;
    k.sess = k.seen = I;
    k.com = g;
    s.nt = 1;
    return s;
  }
  static bool order(const St& s, int pretend, uint8_t* reach) {
    memset(reach, 0, MW + 1);
    uint8_t ops = 0, clv[8] = {0};
    for (int i = 0; i < WR; i++)
      if (s.wst[i]) {
        ops |= 1 << i;
        clv[i] = i + 1;
        reach[0] |= 1 << (i + 1);
      }
    for (int i = 0; i < RD; i++)
      if (s.rst[i] == 4) {
        ops |= 16 << i;
        clv[4 + i] = s.rval[i];
      }
    auto edge = [&](uint8_t pred, int to) {
      for (int o = 0; o < 7; o++)
        if ((pred & ops) >> o & 1)
          if (clv[o] != to) reach[clv[o]] |= 1 << to;
    };
    for (int i = 0; i < WR; i++)
      if (ops >> i & 1) edge(s.wpred[i], i + 1);
    for (int i = 0; i < RD; i++)
      if (ops >> (4 + i) & 1) edge(s.rpred[i], s.rval[i]);
    if (pretend >= 0) edge(answered(s), pretend);
    for (int k = 0; k <= WR; k++)
      for (int i = 0; i <= WR; i++)
        if (reach[i] >> k & 1) reach[i] |= reach[k];
    for (int i = 0; i <= WR; i++)
      if (reach[i] >> i & 1) return false;
    return true;
  }
  static bool valid(const St& s, int c, int r) {
    return V == NO_REVOKE || s.s[r].prom == s.c[c].term;
  } // the handle of c at r is not revoked
  static bool lockFree(const Cli& k) { return k.w == 0 || V == READ_ANY || V == READ_FIXED; }
  static bool readable(const St& s, int c, int r) { // c may send a READ to r and r executes it now
    const Cli& k = s.c[c];
    if (k.ph != SERVING || !(k.sess >> r & 1) || (k.cut >> r & 1) || !valid(s, c, r)) return false;
    if ((k.rep >> r & 1) && V != READS_IN_REPLAY) return false;
    if (k.life[r] != s.s[r].life) return false;
    if (k.uns) return false;
    int set = k.com.I;
    if (k.pen.t) set &= k.pen.I;
    if (!(set & ib(k, r))) return false;
    if (V == READ_FIXED)
      for (int x = 0; x < r; x++)
        if ((k.sess >> x & 1) && (set & ib(k, x))) return false;
    return true;
  }
  static bool checkOk(const St& s, int c, int v) { return !(s.c[c].cut >> v & 1) && s.s[v].prom == s.c[c].term; }
  static bool checked(const Cli& k, int mask) {
    if (V == READ_UNCHECKED || V == CLAIM_ALL) return true;
    if (V == READ_CHECK_MAJ) return pop(mask) >= MAJ;
    int set = k.com.I;
    if (k.pen.t && V != READ_CHECK_COM) set |= V == PENDING_LAST_ONLY ? k.pen.I : k.pu;
    return allIn(k, set, mask);
  }
  const char* check(const State& s) {
    uint8_t reach[MW + 1];
    if (!order(s, -1, reach))
      return "VIOLATION: a read returned what it must not (an older value came back, or an acknowledged write was not seen)";
    for (int a = 0; a < NV; a++)
      for (int b = a + 1; b < NV; b++) { // every majority
        const Cfg& g = newer(s.s[a].cfg, s.s[b].cfg) ? s.s[a].cfg : s.s[b].cfg;
        for (int r = 0; r < R; r++)
          if (g.I & sib(s, r))
            for (int i = 0; i < WR; i++)
              if (s.flushed >> i & 1)
                for (int x = 0; x <= WR; x++)
                  if (x == s.s[r].disk || (s.s[r].wb >> x & 1))
                    if (reach[x] >> (i + 1) & 1)
                      return "VIOLATION: a flush was acknowledged, but a replica the next holder may choose does not have it on disk";
      }
    for (int c = 0; c < 2; c++) {
      const Cli& k = s.c[c];
      if (k.ph != SERVING) continue;
      int cm = 0;
      for (int v = 0; v < NV; v++)
        if (checkOk(s, c, v)) cm |= 1 << v;
      if (lockFree(k) && checked(k, cm))
        for (int r = 0; r < R; r++)
          if (readable(s, c, r))
            if (!order(s, s.s[r].cache, reach))
              return "VIOLATION: a read now would return what it must not (acknowledged or seen write lost, or stale)";
      if (k.w || k.uns || k.pen.t) continue;
      bool quiet = true;
      int v0 = -1;
      for (int r = 0; r < R; r++)
        if (k.com.I & sib(s, r))
          if (!(k.sess >> r & 1) || (k.rep >> r & 1) || k.life[r] != s.s[r].life || ib(k, r) != sib(s, r) || s.s[r].prom != k.term ||
              qst(k.q[r]) || k.z[r])
            quiet = false;
      if (quiet)
        for (int r = 0; r < R; r++)
          if (k.com.I & sib(s, r)) {
            if (v0 < 0) v0 = s.s[r].cache;
            else if (v0 != s.s[r].cache) return "VIOLATION: all is quiet, the config says in sync, but the replicas differ";
          }
    }
    const Cfg* g = &s.s[0].cfg;
    for (int v = 1; v < NV; v++)
      if (newer(s.s[v].cfg, *g)) g = &s.s[v].cfg;
    if (g->cl && V != CLEAN_NOT_CLEARED) {
      int v0 = -1;
      for (int r = 0; r < R; r++)
        if (g->I & sib(s, r)) {
          if (v0 < 0) v0 = s.s[r].cache;
          else if (v0 != s.s[r].cache) return "VIOLATION: clean end, but the replicas in sync differ";
        }
    }
    return nullptr;
  }
  static bool unable(const St& s, int c) { // c cannot be expected to continue
    const Cli& k = s.c[c];
    bool top = k.term == s.nt;
    if (!top && s.nt >= T) return true;
    if (top && (k.ph == CRASHED || k.ph == OUT) && s.nt >= T) return true;
    int reach = ~k.cut & ((1 << NV) - 1);
    if (pop(reach) < 2) return true;
    Cfg g;
    memset(&g, 0, 4);
    for (int v = 0; v < NV; v++)
      if (reach >> v & 1)
        if (newer(s.s[v].cfg, g)) g = s.s[v].cfg;
    if (k.term == s.nt && k.ph >= CLAIMING && k.ph <= SERVING && (k.ph != CLAIMING || s.nt >= T)) {
      if (newer(k.com, g)) g = k.com;
      if (k.pen.t && newer(k.pen, g)) g = k.pen;
    }
    int I = g.I;
    if (top && k.ph == SERVING && k.com.t) I &= k.com.I; // the last really in sync
    for (int r = 0; r < R; r++)
      if ((I & sib(s, r)) && (reach >> r & 1)) return false;
    return true;
  }
  bool goal(const State& s) {
    for (int c = 0; c < 2; c++) {
      const Cli& k = s.c[c];
      bool idle = k.ph == SERVING && !k.w && !k.f && !k.rs && !k.pen.t && !k.uns;
      if ((k.term == s.nt && (idle || k.ph == OFF)) || (idle && unable(s, 1 - c))) return true;
    }
    return unable(s, 0) && unable(s, 1);
  }
  static int mem(const Cli& k) {
    int m = 0;
    for (int r = 0; r < R; r++)
      if (k.com.I & ib(k, r)) m |= 1 << r;
    return m;
  }
  static void loseSess(St& s, int c, int r, bool serverToo) {
    Cli& k = s.c[c];
    int b = 1 << r;
    if (serverToo) k.q[r] = k.z[r] = 0;
    if (!(k.sess & b)) return;
    k.sess &= ~b;
    if (!((k.com.I | (k.pen.t ? k.pen.I : 0)) & ib(k, r))) k.join &= ~b;
    if (k.uns >= 2 && (k.com.I & ib(k, r))) {
      k.uns = 1;
      k.nf &= ~mem(k);
      k.dirty &= ~mem(k);
    }
  }
  static void excuse(St& s) { // acknowledged, not flushed, dropped by a machine crash, and its holder is replaced: may be lost
    int top = 0;
    for (int c = 0; c < 2; c++)
      if (s.c[c].ph == SERVING && s.c[c].term > top) top = s.c[c].term;
    uint8_t kill = 0;
    for (int i = 0; i < WR; i++)
      if (s.wst[i] == 4 && (s.wdrop >> i & 1) && !(s.flushed >> i & 1) && s.wterm[i] < top) {
        s.wst[i] = 1;
        kill |= 1 << i;
      }
    for (int i = 0; i < WR; i++)
      if (s.wst[i] == 1 && (s.wdrop >> i & 1) && !(s.flushed >> i & 1) && s.wterm[i] < top)
        for (int j = 0; j < RD; j++)
          if (s.rst[j] == 4 && s.rval[j] == i + 1 && s.rterm[j] < top) {
            s.rst[j] = 5;
            kill |= 16 << j;
          }
    if (kill) {
      for (int i = 0; i < WR; i++) s.wpred[i] &= ~kill;
      for (int j = 0; j < RD; j++) s.rpred[j] &= ~kill;
      for (int c = 0; c < 2; c++) s.c[c].fg &= ~kill;
    }
  }
  static void openSess(St& s, int c, int r) {
    Cli& k = s.c[c];
    int b = 1 << r;
    Srv& v = s.s[r];
    bool first = !(k.seen & b);
    bool life = !first && k.life[r] != v.life;
    bool wasId = k.ids >> r & 1;
    uint8_t oldq = k.q[r];
    bool sameTerm = k.cl & b;
    k.q[r] = k.z[r] = 0;
    k.seen |= b;
    k.cl |= b;
    k.sess |= b;
    k.life[r] = v.life;
    if (v.id) k.ids |= b;
    else k.ids &= ~b;
    if (k.ph == CLAIMING) return;
    int I = k.pen.t ? k.pen.I | k.com.I : k.com.I;
    if (k.ph == ATTACH) I = k.pen.I;
    if ((I & ib(k, r)) && (first || (wasId != 0) == (v.id != 0) || V == IDENTITY_IGNORED)) {
      if (life) {
        if (k.L && V != NO_LOG) k.rep |= b;
        if (V != LOG_AT_ACK) k.done &= ~b;
      }
      if ((k.rep & b) && !k.L) k.rep &= ~b;
      if (k.rep & b) k.q[r] = mk(1, KREPLAY, k.L);
      else if (k.w && !(k.done & b)) k.q[r] = mk(1, KW, k.w);
    } else { // starts its resync
      if (V == RESYNC_OLD_SESSION && sameTerm && qst(oldq) == 1) k.z[r] = qv(oldq);
      int pm = 0;
      for (int x = 0; x < R; x++)
        if ((k.com.I & ib(k, x)) && x != r) pm |= s.s[x].map;
      if (k.w) pm = 1;
      if (V != MAP_NOT_INFLIGHT)
        for (int x = 0; x < R; x++)
          if (x != r && (k.com.I & ib(k, x)) && qst(k.q[x])) pm = 1; // requests that this holder itself has under way there count as set
      bool need = V == MAP_SOURCE_ONLY ? pm : V == MAP_TARGET_ONLY ? v.map : (pm | v.map);
      if (V == RESYNC_FORGET && !first && sameTerm && (k.nf & b)) need = k.dirty & b; // counts the copies of the old life as made
      k.rep &= ~b;
      k.join &= ~b;
      k.done &= ~b;
      k.nf |= b;
      if (need) k.dirty |= b;
      else k.dirty &= ~b;
      if (k.w) k.q[r] = mk(1, KW, k.w);
    }
  }
  static void ended(St& s, int c, int ph) { // c is no longer the holder; its requests may still be under way
    Cli& k = s.c[c];
    Cli n;
    memset(&n, 0, sizeof n);
    n.ph = ph;
    n.term = k.term;
    n.pt = k.term;
    n.cut = k.cut;
    for (int r = 0; r < R; r++) {
      n.q[r] = qst(k.q[r]) == 1 ? mk(1, qk(k.q[r]), qv(k.q[r])) : 0;
      n.z[r] = k.z[r];
    }
    k = n;
  }
  static void answer(St& s, int c, int r) {
    Cli& k = s.c[c];
    int b = 1 << r;
    uint8_t q = k.q[r];
    k.q[r] = 0;
    if (qk(q) == KW) {
      if (qv(q) == k.w) k.done |= b;
    } else if (qk(q) == KCOPY) {
      k.dirty &= ~b;
      if (k.uns == 2 && !(k.dirty & mem(k))) copied(k);
    } else {
      k.rep &= ~b;
      if (k.w && !(k.done & b)) k.q[r] = mk(1, KW, k.w);
    }
  }
  static void copied(Cli& k) {
    if (V == NO_PFLUSH) {
      k.uns = 0;
      return;
    }
    k.uns = 3;
    for (int r = 0; r < R; r++)
      if (k.com.I & ib(k, r)) k.nf |= 1 << r;
  }
  static void doWrite(St& s, int r, int val, bool map) {
    s.s[r].cache = val;
    s.s[r].wb |= 1 << val;
    if (s.s[r].cache == s.s[r].disk && s.s[r].wb == 1 << val) s.s[r].wb = 0;
    if (map) s.s[r].map = 1;
  }
  static void doFlush(St& s, int r) {
    s.s[r].disk = s.s[r].cache;
    s.s[r].wb = 0;
  }
  // The steps of a client that it makes as soon as it has everything for them (later steps would only weaken the check), and a canonical
  // form.
  static void post(St& s, std::string* note, int now = -1) { // now: with -a, the client that sends its acknowledgements in this step
    static const char* CN[] = {"X", "Y"};
    for (int c = 0; c < 2; c++) {
      Cli& k = s.c[c];
      if (k.ph == ATTACH || k.ph == SERVING) {
        if (k.pen.t && pop(k.pm) >= MAJ) {
          int ph = k.ph;
          k.com = k.pen;
          memset(&k.pen, 0, sizeof k.pen);
          k.pm = k.pu = 0;
          for (int r = 0; r < R; r++)
            if (k.com.I & ib(k, r)) k.join &= ~(1 << r);
          if (note) *note += strf("; %s: config %d.%d is at a majority", CN[c], k.com.t, k.com.k);
          if (ph == ATTACH) {
            k.ph = SERVING;
            for (int r = 0; r < R; r++)
              if (!(k.com.I & ib(k, r))) k.sess &= ~(1 << r);
            excuse(s);
          } else if (k.com.cl && D) {
            ended(s, c, OFF);
            if (note) *note += ", detached";
            continue;
          }
        }
        if (k.ph == SERVING && (!LATE || now == c)) {
          if (k.w && allIn(k, asetBits(k), k.done)) {
            s.wst[k.w - 1] = 4;
            k.L = k.w;
            if (note) *note += strf("; %s: W%d is acknowledged", CN[c], k.w);
            k.w = 0;
            k.done = 0;
            excuse(s);
          }
          if (k.f) {
            int set = asetBits(k);
            if (V == FLUSH_STAYERS && k.pen.t) set = k.com.I & k.pen.I;
            if (allIn(k, set, k.fd)) {
              s.flushed |= k.fg;
              if (k.L == k.fv) k.L = 0;
              k.f = k.fd = k.fv = k.fg = 0;
              if (note) *note += strf("; %s: the FLUSH is acknowledged", CN[c]);
            }
          }
          if (k.rs && k.rv && checked(k, k.rc)) {
            s.rst[k.rs - 1] = 4;
            s.rval[k.rs - 1] = k.rv - 1;
            if (note) *note += strf("; %s: R%d is answered: W%d", CN[c], k.rs, k.rv - 1);
            k.rs = k.rv = k.rc = 0;
            excuse(s);
          }
        }
      } else if (k.ph == CRASHED) k.ph = OUT;
      bool any = false;
      for (int r = 0; r < R; r++) {
        int qt = (k.cl >> r & 1) ? k.term : k.pt;
        bool mine = (k.sess >> r & 1) && (k.ph == SERVING || k.ph == ATTACH) && (k.cl >> r & 1);
        if (V != NO_REVOKE && qt != s.s[r].prom && !mine) {
          if (qst(k.q[r]) == 1) k.q[r] = 0;
          k.z[r] = 0;
        }
        if (!mine && qst(k.q[r]) == 2) k.q[r] = 0;
        if ((k.q[r] || k.z[r]) && !(k.cl >> r & 1)) any = true;
      }
      if (!any) k.pt = 0;
    }
    s.wdrop &= ~s.flushed;
  }
  template <class F> void successors(const State& c0, F emit0) {
    auto emit = [&](State& s, int kind, const std::string& l) {
      if (g_label) {
        std::string n;
        post(s, &n);
        emit0(s, kind, l + n);
      } else {
        post(s, nullptr);
        emit0(s, kind, l);
      }
    };
    const State& o = c0;
    static const char* CN[] = {"X", "Y"};
    static const char* RN[] = {"a", "b", "c"};
    auto vn = [&](int v) { return v < R ? RN[v] : "w"; };
    auto set = [&](int I) {
      static char bf[4][32];
      static int n;
      char* p = bf[n++ & 3];
      char* e = p;
      *e++ = '{';
      for (int d = 0; d < 6; d++)
        if (I >> d & 1) {
          *e++ = "abc"[d % 3];
          if (d > 2) *e++ = '\'';
        }
      *e++ = '}';
      *e = 0;
      return (const char*)p;
    };
    if (LATE)
      for (int c = 0; c < 2; c++) {
        const Cli& k = o.c[c];
        if (k.ph != SERVING) continue;
        bool w = k.w && allIn(k, asetBits(k), k.done), f = k.f && allIn(k, asetBits(k), k.fd), r = k.rs && k.rv && checked(k, k.rc);
        if (w || f || r) {
          State s = o;
          std::string n;
          post(s, g_label ? &n : nullptr, c);
          emit0(s, NORMAL, g_label ? "late answer to the application" + n : std::string());
        }
      }
    for (int c = 0; c < 2; c++) {
      const Cli& k = o.c[c];
      // --- attach
      bool stuck = k.ph == CLAIMING && pop(k.cl) >= MAJ;
      for (int r = 0; r < R && stuck; r++)
        if (k.com.I & ib(k, r) && !(k.cut >> r & 1)) stuck = false;
      if ((k.ph == OFF || k.ph == OUT || k.ph == CRASHED || stuck) && o.nt < T) {
        State s = o;
        Cli& n = s.c[c];
        uint8_t pt = k.term, cut = k.cut;
        uint8_t q[3], z[3];
        memcpy(q, k.q, 3);
        memcpy(z, k.z, 3);
        memset(&n, 0, sizeof n);
        n.ph = CLAIMING;
        n.term = ++s.nt;
        n.pt = pt;
        n.cut = cut;
        memcpy(n.q, q, 3);
        memcpy(n.z, z, 3);
        emit(s, NORMAL, LAB("%s: wants the volume, CLAIM with term %d", CN[c], n.term));
      }
      if (k.ph == CLAIMING)
        for (int v = 0; v < NV; v++)
          if (!(k.cl >> v & 1) && !(k.cut >> v & 1) && o.s[v].prom < k.term) {
            State s = o;
            Cli& n = s.c[c];
            s.s[v].prom = k.term;
            if (newer(s.s[v].cfg, n.com)) n.com = s.s[v].cfg;
            if (v < R) openSess(s, c, v);
            n.cl |= 1 << v;
            emit(s, NORMAL,
                 LAB("%s: promises term %d to %s (config %d.%d %s%s%s)", vn(v), k.term, CN[c], s.s[v].cfg.t, s.s[v].cfg.k,
                     set(s.s[v].cfg.I), s.s[v].cfg.cl ? " clean" : "", v < R && s.s[v].map ? ", intent bit set" : ""));
          }
      if (k.ph == CLAIMING)
        for (int r = 0; r < R; r++)
          if ((k.cl >> r & 1) && !(k.sess >> r & 1) && !(k.cut >> r & 1) && o.s[r].prom <= k.term) {
            State s = o;
            s.s[r].prom = k.term;
            openSess(s, c, r);
            emit(s, NORMAL, LAB("%s: opens a new session at %s", CN[c], vn(r)));
          }
      if (k.ph == CLAIMING && pop(k.cl) >= MAJ) {
        int okm = 0;
        for (int r = 0; r < R; r++)
          if ((k.sess >> r & 1) && ((k.com.I & ib(k, r)) || V == ANY_REPLICA)) okm |= 1 << r;
        bool may = okm;
        if (V == CLAIM_ALL) may = allIn(k, k.com.I, k.sess);
        if (may)
          for (int p = 0; p < R; p++)
            if (okm >> p & 1) {
              State s = o;
              Cli& n = s.c[c];
              bool clean = k.com.cl;
              int I = k.com.I;
              if (V == ANY_REPLICA) I |= ib(k, p);
              if (V == UNCLEAN_AS_CLEAN || clean) n.uns = 0;
              else {
                n.uns = 1;
                if (PMODE) I = ib(k, p);
              }
              n.pen.t = k.term;
              n.pen.k = 1;
              n.pen.I = I;
              n.pen.cl = V == CLEAN_NOT_CLEARED ? clean : 0;
              n.pm = 0;
              n.pu = I;
              n.ph = ATTACH;
              if (V == NO_RECOMMIT) {
                n.com = n.pen;
                n.com.k = 0;
                n.pu = 0;
                n.pen.t = 0;
                n.pen.k = n.pen.I = n.pen.cl = 0;
                n.ph = SERVING;
                for (int r = 0; r < R; r++)
                  if (!(n.com.I & ib(n, r))) n.sess &= ~(1 << r);
                excuse(s);
              }
              emit(s, NORMAL,
                   LAB("%s: has a majority, the former end was %s, in-sync set becomes %s", CN[c], clean ? "clean" : "unclean", set(I)));
              if (!PMODE || clean) break;
            }
      }
      // --- config writes
      if (k.pen.t)
        for (int v = 0; v < NV; v++)
          if (!(k.pm >> v & 1) && !(k.cut >> v & 1) && o.s[v].prom <= k.term) {
            State s = o;
            s.s[v].prom = k.term;
            if (newer(k.pen, s.s[v].cfg)) s.s[v].cfg = k.pen;
            s.c[c].pm |= 1 << v;
            emit(s, NORMAL,
                 LAB("%s: stores config %d.%d %s%s of %s", vn(v), k.pen.t, k.pen.k, set(k.pen.I), k.pen.cl ? " clean" : "", CN[c]));
          }
      // --- learns that it is replaced
      if (k.ph >= CLAIMING && k.ph <= SERVING) {
        bool told = false;
        for (int v = 0; v < NV; v++)
          if (!(k.cut >> v & 1) && o.s[v].prom > k.term) told = true;
        if (told) {
          State s = o;
          ended(s, c, OUT);
          emit(s, NORMAL, LAB("%s: is told that a higher term exists: ends, its I/O fails", CN[c]));
        }
      }
      if (k.ph == ATTACH || k.ph == SERVING)
        for (int r = 0; r < R; r++) {
          int b = 1 << r;
          // --- sessions
          bool leaving =
              k.ph == SERVING && k.pen.t && ((V == REOPEN_LEAVING ? 0 : k.com.I | k.pu) & (ib(k, r) | sib(o, r))) && !(k.pen.I & ib(k, r));
          if (!(k.sess & b) && !(k.cut & b) && o.s[r].prom <= k.term && !leaving && (k.ph == SERVING || (k.pen.I & sib(o, r))) &&
              (((k.com.I | k.pen.I) & sib(o, r)) || V == MAP_BEFORE_FENCE || V == RESYNC_UNCLAIMED || !(mem(k) & ~k.cl & ~b)) &&
              (((k.com.I | k.pen.I) & (sib(o, r) | ib(k, r))) || V == NO_SOURCE || V == MAP_BEFORE_FENCE || (mem(k) & k.sess & ~b))) {
            State s = o;
            s.s[r].prom = k.term;
            openSess(s, c, r);
            emit(s, NORMAL,
                 LAB("%s: opens a new session at %s%s%s", CN[c], vn(r), (s.c[c].rep & b) ? ", other life: replays" : "",
                     (s.c[c].dirty & b) ? ", which is to be copied" : ""));
          }
          if ((k.sess & b) && ((k.cut & b) || (!QUIET && o.s[r].prom > k.term && V != NO_REVOKE))) {
            State s = o;
            loseSess(s, c, r, false);
            emit(s, NORMAL, LAB("%s: gives its session to %s up (no answer)", CN[c], vn(r)));
          }
          if (k.ph != SERVING) continue;
          // --- in-sync set shrinks
          {
            int d = -1;
            int I = k.pen.t ? k.pen.I : k.com.I;
            for (int x : {r, r + 3})
              if (I >> x & 1) {
                bool gone = (!(k.sess & b) && ((k.cut & b) || (k.seen & b) || o.s[r].prom > k.term)) || ib(k, r) != 1 << x;
                if (gone) d = x;
              }
            int left = d >= 0 ? I & ~(1 << d) : 0;
            bool claimed = false;
            for (int x = 0; x < R; x++)
              if ((left & k.com.I & ib(k, x)) && (k.cl >> x & 1)) claimed = true;
            if (d >= 0 && (left & k.com.I) && (claimed || V == MAP_BEFORE_FENCE || V == REMAIN_UNCLAIMED) && !(k.pen.t && k.pen.cl)) {
              State s = o;
              Cli& n = s.c[c];
              n.pen.t = k.term;
              n.pen.k = (k.pen.t ? k.pen.k : k.com.k) + 1;
              n.pen.I = left;
              n.pen.cl = 0;
              n.pm = 0;
              n.pu |= left;
              n.rep &= ~b;
              n.join &= ~b;
              loseSess(s, c, r, false);
              emit(s, NORMAL, LAB("%s: %s does not answer, writes config %d.%d %s", CN[c], vn(r), n.pen.t, n.pen.k, set(left)));
            }
          }
          // --- resync: copy, join, flush, config
          bool member = (k.com.I | (k.pen.t ? k.pen.I : 0)) & ib(k, r);
          if ((k.sess & b) && !member) {
            if ((k.dirty & b) && !qst(k.q[r]) && (!k.uns || V == RESYNC_UNSETTLED) && k.uns < 2 && (!k.w || V == RESYNC_NO_SERIAL))
              for (int p = 0; p < R; p++)
                if ((k.com.I & ib(k, p)) && (!k.pen.t || (k.pen.I & ib(k, p))) && (k.sess >> p & 1) && !(k.cut >> p & 1) &&
                    !(k.rep >> p & 1) && valid(o, c, p) && k.life[p] == o.s[p].life) {
                  State s = o;
                  s.c[c].q[r] = mk(1, KCOPY, o.s[p].cache);
                  emit(s, NORMAL, LAB("%s: reads the block from %s (W%d) to copy it to %s", CN[c], vn(p), o.s[p].cache, vn(r)));
                }
            if (!(k.dirty & b) && !(k.join & b) && !k.pen.t && (V == NO_SOURCE || (mem(k) & k.sess & ~b)) &&
                (!k.uns || V == RESYNC_UNSETTLED) && !k.z[r] && (!qst(k.q[r]) || qv(k.q[r]) == k.w)) {
              State s = o;
              s.c[c].join |= b;
              if (V == JOIN_NOFLUSH) s.c[c].nf &= ~b;
              emit(s, NORMAL, LAB("%s: %s is copied: acknowledgements wait for it from now on", CN[c], vn(r)));
            }
            if ((k.join & b) && !(k.nf & b) && !k.pen.t && !k.z[r]) {
              State s = o;
              Cli& n = s.c[c];
              n.pen.t = k.term;
              n.pen.k = k.com.k + 1;
              n.pen.I = k.com.I | ib(k, r);
              n.pen.cl = 0;
              n.pm = 0;
              n.pu |= n.pen.I;
              emit(s, NORMAL, LAB("%s: %s is flushed, writes config %d.%d %s", CN[c], vn(r), n.pen.t, n.pen.k, set(n.pen.I)));
            }
          }
          if ((k.sess & b) && !(k.cut & b) && valid(o, c, r) && (k.nf & b) && k.life[r] == o.s[r].life)
            if ((k.uns == 3 && (k.com.I & ib(k, r))) || ((k.join & b) && !member && (!qst(k.q[r]) || qv(k.q[r]) == k.w))) {
              State s = o;
              doFlush(s, r);
              s.c[c].nf &= ~b;
              if (k.uns == 3) {
                int left = 0;
                for (int x = 0; x < R; x++)
                  if ((k.com.I & ib(k, x)) && (s.c[c].nf >> x & 1)) left = 1;
                if (!left) s.c[c].uns = 0;
              }
              emit(s, NORMAL, LAB("%s: FLUSH for the %s done", vn(r), k.uns == 3 ? "settling" : "resync"));
            }
          // --- user flush
          if (k.f && (asetBits(k) & ib(k, r)) && (k.sess & b) && !(k.cut & b) && valid(o, c, r) && !(k.fd & b) &&
              (!(k.rep & b) || V == FLUSH_IN_REPLAY) && k.life[r] == o.s[r].life) {
            State s = o;
            doFlush(s, r);
            s.c[c].fd |= b;
            emit(s, NORMAL, LAB("%s: executes and answers the FLUSH", vn(r)));
          }
          // --- intent bit cleared
          if (o.s[r].map && (k.sess & b) && !(k.cut & b) && valid(o, c, r) && (k.com.I & ib(k, r)) && !k.pen.t && !k.w && !k.uns &&
              !k.rep && k.life[r] == o.s[r].life) {
            int all = 0;
            bool idle = true;
            for (int x = 0; x < R; x++) {
              if (k.com.I & ib(k, x)) all++;
              if (qst(k.q[x]) && (k.sess >> x & 1)) idle = false;
            }
            if (idle && (all == R || V == CLEAR_EARLY) && (!k.L || V == CLEAR_UNFLUSHED)) {
              State s = o;
              s.s[r].map = 0;
              emit(s, NORMAL, LAB("%s: clears its intent bit for %s", vn(r), CN[c]));
            }
          }
        }
      if (k.ph == SERVING) {
        bool ending = k.pen.t && k.pen.cl;
        // --- settling after an unclean end
        if (k.uns == 1 && !k.w && !k.pen.t) {
          bool ready = true, bits = false;
          int mem = 0;
          for (int d = 0; d < 6; d++)
            if (k.com.I >> d & 1) {
              int r = d % 3;
              bool here = (k.sess >> r & 1) && ib(k, r) == 1 << d;
              if (!here) {
                if (V != SETTLE_REACHABLE) ready = false;
                continue;
              }
              mem |= 1 << r;
              if (qst(k.q[r]) || (k.rep >> r & 1)) ready = false;
              bits |= o.s[r].map;
            }
          if (ready && !bits && V != SETTLE_REACHABLE) {
            State s = o;
            s.c[c].uns = 0;
            emit(s, NORMAL, LAB("%s: no intent bit anywhere: settled", CN[c]));
          } else if (ready)
            for (int p = 0; p < R; p++)
              if ((mem >> p & 1) && !(k.cut >> p & 1) && valid(o, c, p) && k.life[p] == o.s[p].life) {
                State s = o;
                Cli& n = s.c[c];
                n.uns = 2;
                n.dirty &= ~mem;
                for (int r = 0; r < R; r++)
                  if ((mem >> r & 1) && r != p) {
                    n.q[r] = mk(1, KCOPY, o.s[p].cache);
                    n.dirty |= 1 << r;
                  }
                if (!(n.dirty & mem)) copied(n);
                emit(s, NORMAL,
                     LAB("%s: settles: reads the block from %s (W%d)%s", CN[c], vn(p), o.s[p].cache,
                         (n.dirty & mem) ? ", copies it to the others in sync" : ""));
              }
        }
        // --- the application
        if (!k.w && !ending && (!k.rs || V == READ_ANY || V == READ_FIXED || V == READ_LOCK_ONE_WAY) && k.uns < 2) {
          int w = 0;
          while (w < WR && o.wst[w]) w++;
          bool may = w < WR;
          for (int r = 0; r < R; r++)
            if ((k.sess >> r & 1) && qst(k.q[r]) && qk(k.q[r]) != KREPLAY) {
              bool mem = k.com.I & ib(k, r);
              if (!((V == O1_ACKED_ONLY && !mem && qk(k.q[r]) == KW && !k.z[r]) || (V == RESYNC_NO_SERIAL && qk(k.q[r]) == KCOPY)))
                may = false;
            }
          if (may) {
            State s = o;
            Cli& n = s.c[c];
            s.wst[w] = 1;
            s.wpred[w] = answered(o);
            s.wterm[w] = k.term;
            n.w = w + 1;
            n.done = 0;
            for (int r = 0; r < R; r++)
              if ((k.sess >> r & 1) && !(k.rep >> r & 1)) {
                if (qst(k.q[r]) == 1) n.z[r] = qv(k.q[r]);
                n.q[r] = mk(1, KW, w + 1);
              }
            emit(s, NORMAL, LAB("%s: issues W%d, sent to all it has a session with", CN[c], w + 1));
          }
        }
        if (!k.f && k.L && o.nfl < FL && !ending) {
          State s = o;
          Cli& n = s.c[c];
          s.nfl++;
          n.f = 1;
          n.fd = 0;
          n.fv = k.L;
          n.fg = answered(o) & 15;
          emit(s, NORMAL, LAB("%s: issues a FLUSH", CN[c]));
        }
        int rs = k.rs;
        if (!rs && !ending && lockFree(k))
          for (int i = 0; i < RD; i++)
            if (!o.rst[i]) {
              rs = -(i + 1);
              break;
            } // issued with its first step
        auto issue = [&](State& s) {
          if (rs < 0) {
            s.rst[-rs - 1] = 1;
            s.rpred[-rs - 1] = answered(o);
            s.rterm[-rs - 1] = k.term;
            s.c[c].rs = -rs;
          }
        };
        const char* iss = rs < 0 ? " (issued now)" : "";
        int rn = rs < 0 ? -rs : rs;
        if (rs && (rs < 0 || !k.rv))
          for (int r = 0; r < R; r++)
            if (readable(o, c, r)) {
              State s = o;
              issue(s);
              s.c[c].rv = o.s[r].cache + 1;
              s.c[c].rc |= 1 << r;
              emit(s, NORMAL, LAB("%s: executes R%d of %s%s: W%d", vn(r), rn, CN[c], iss, o.s[r].cache));
            }
        if (rs && !checked(k, rs < 0 ? 0 : k.rc))
          for (int v = 0; v < NV; v++)
            if (!((rs < 0 ? 0 : k.rc) >> v & 1) && !(k.cut >> v & 1) && o.s[v].prom <= k.term && (V == READ_CHECK_MAJ || v < R)) {
              State s = o;
              s.s[v].prom = k.term;
              issue(s);
              s.c[c].rc |= 1 << v;
              emit(s, NORMAL, LAB("%s: confirms to R%d of %s%s that term %d is still valid", vn(v), rn, CN[c], iss, k.term));
            }
        // --- clean detach
        if (D && !k.w && (!k.L || V == CLEAN_UNFLUSHED) && !k.f && !k.rs && !k.pen.t && !k.join && !k.rep && !k.uns) {
          bool idle = true;
          for (int r = 0; r < R; r++)
            if ((k.sess >> r & 1) && qst(k.q[r])) idle = false;
          if (idle) {
            State s = o;
            Cli& n = s.c[c];
            n.pen = k.com;
            n.pen.k++;
            n.pen.cl = 1;
            n.pm = 0;
            n.pu |= n.pen.I;
            emit(s, NORMAL,
                 LAB("%s: detaches: all answered and flushed, writes clean config %d.%d %s", CN[c], n.pen.t, n.pen.k, set(n.pen.I)));
          }
        }
      }
      // --- replicas execute (also what a replaced or dead client has left under way)
      for (int r = 0; r < R; r++) {
        int b = 1 << r;
        int qt = (k.cl & b) ? k.term : k.pt;
        bool ok = V == NO_REVOKE ? true : qt == o.s[r].prom;
        bool mine = (k.sess & b) && (k.ph == SERVING || k.ph == ATTACH) && (k.cl & b);
        if (qst(k.q[r]) == 1) {
          if (ok) {
            State s = o;
            doWrite(s, r, qv(k.q[r]), !(V == COPY_NO_MAP && qk(k.q[r]) == KCOPY));
            static const char* KN[] = {"executes W", "executes the copy of W", "executes the replay of W"};
            if (mine && !(k.cut & b)) answer(s, c, r);
            else s.c[c].q[r] = mine ? mk(2, qk(k.q[r]), qv(k.q[r])) : 0;
            emit(s, NORMAL,
                 LAB("%s: %s%d of %s%s", vn(r), KN[qk(k.q[r])], qv(k.q[r]), CN[c],
                     mine && !(k.cut & b) ? ", answered" : ", the answer does not arrive"));
          } else {
            State s = o;
            s.c[c].q[r] = 0;
            if (mine) loseSess(s, c, r, false);
            emit(s, NORMAL, LAB("%s: refuses W%d of %s: handle revoked", vn(r), qv(k.q[r]), CN[c]));
          }
        }
        if (qst(k.q[r]) == 2 && (!mine || !(k.cut & b))) {
          State s = o;
          if (mine) answer(s, c, r);
          else s.c[c].q[r] = 0;
          emit(s, NORMAL, LAB("%s: the answer of %s for W%d arrives", CN[c], vn(r), qv(k.q[r])));
        }
        if (k.z[r]) {
          State s = o;
          if (ok) {
            doWrite(s, r, k.z[r], true);
            if (V == RESYNC_NO_SERIAL) s.c[c].dirty &= ~b;
          }
          s.c[c].z[r] = 0;
          emit(s, NORMAL, LAB("%s: %s the older W%d of %s", vn(r), ok ? "executes" : "refuses", k.z[r], CN[c]));
        }
      }
      // --- faults of the client and its links
      for (int v = 0; v < NV; v++) {
        if ((KINDS & 1) && o.faults < FAULTS && !(k.cut >> v & 1)) {
          State s = o;
          s.faults++;
          s.c[c].cut |= 1 << v;
          emit(s, FAULT, LAB("%s and %s are cut off from each other", CN[c], vn(v)));
        }
        if (k.cut >> v & 1) {
          State s = o;
          s.c[c].cut &= ~(1 << v);
          emit(s, FAULT, LAB("%s and %s hear each other again", CN[c], vn(v)));
        }
      }
      if ((KINDS & 16) && o.faults < FAULTS && k.ph >= CLAIMING && k.ph <= SERVING) {
        State s = o;
        s.faults++;
        ended(s, c, CRASHED);
        emit(s, FAULT, LAB("%s crashes", CN[c]));
      }
    }
    // --- servers
    for (int v = 0; v < NV; v++) {
      if ((KINDS & 2) && o.faults < FAULTS && !((o.c[0].cut & o.c[1].cut) >> v & 1)) {
        State s = o;
        s.faults++;
        s.c[0].cut |= 1 << v;
        s.c[1].cut |= 1 << v;
        emit(s, FAULT, LAB("%s is unreachable for all", vn(v)));
      }
      if (V == PROMISE_VOLATILE && o.faults < FAULTS) {
        State s = o;
        s.faults++;
        s.s[v].prom = s.s[v].cfg.t;
        for (int c = 0; c < 2; c++)
          if (v < R) loseSess(s, c, v, false);
        emit(s, FAULT, LAB("%s crashes and forgets its promise", vn(v)));
      }
      if (v >= R) continue;
      int r = v;
      if ((KINDS & 4) && o.faults < FAULTS)
        for (int ex = 0; ex < 2; ex++) {
          State s = o;
          bool any = false;
          s.faults++;
          for (int c = 0; c < 2; c++) {
            const Cli& k = o.c[c];
            int qt = (k.cl >> r & 1) ? k.term : k.pt;
            if (ex && qst(k.q[r]) == 1 && qt == o.s[r].prom) {
              doWrite(s, r, qv(k.q[r]), true);
              any = true;
            }
          }
          if (ex && !any) continue;
          for (int c = 0; c < 2; c++) loseSess(s, c, r, true);
          emit(s, FAULT, LAB("%s: server PROCESS crashes%s", vn(r), ex ? " after executing what was outstanding" : ""));
        }
      if ((KINDS & 8) && o.faults < FAULTS)
        for (int x = 0; x <= WR; x++)
          if (x == o.s[r].disk || (o.s[r].wb >> x & 1)) {
            State s = o;
            s.faults++;
            if (x != s.s[r].cache) {
              for (int i = 0; i < WR; i++)
                if (s.wst[i]) s.wdrop |= 1 << i;
            }
            s.s[r].cache = s.s[r].disk = x;
            s.s[r].wb = 0;
            s.s[r].life++;
            if (V == MAP_VOLATILE) s.s[r].map = 0;
            for (int c = 0; c < 2; c++) loseSess(s, c, r, true);
            excuse(s);
            emit(s, FAULT, LAB("%s: server MACHINE crashes, content is W%d", vn(r), x));
          }
      if ((KINDS & 32) && o.faults < FAULTS) {
        bool lost = false;
        for (int x = 0; x < R; x++)
          if (o.s[x].id) lost = true;
        if (!lost) {
          State s = o;
          s.faults++;
          Srv& x = s.s[r];
          x.cache = x.disk = x.wb = 0;
          x.id = 1;
          x.map = 1;
          x.life++;
          if (V == VOTER_AMNESIA) {
            x.prom = 0;
            memset(&x.cfg, 0, 4);
          }
          for (int c = 0; c < 2; c++) loseSess(s, c, r, true);
          emit(s, FAULT, LAB("%s: its disk is lost, an empty one takes its place", vn(r)));
        }
      }
    }
  }
};
static int usage() {
  puts("usage: mirror VARIANT replicas writes reads flushes faults terms detach(0|1) kinds [OPTION...]\n"
       "  kinds  the sum of: 1 client and server are cut off, 2 a server is unreachable for all, 4 a server process crashes,\n"
       "         8 a server machine crashes, 16 a client crashes, 32 a replica loses its disk\n"
       "  -q     a client that is refused because of a higher term notices it (smaller); without: it may take the refusal for silence\n"
       "  -a     answers to the application leave in a step of their own, at any later time (a paused client)\n"
       "  -p     after an unclean end the in-sync set becomes one replica (an earlier draft)\n"
       "  -l     also look for livelocks\n"
       "  -n N   stop after N states (default: 24 million)\n"
       "  -f N   keep fingerprints alone, stop after N states or the seconds of -t\n"
       "  -w S   random walks from seed S for the seconds of -t (default: 60)\n"
       "The exit code is 0 if the variant holds, 1 if it breaks, 2 if the search is not finished.");
  return 9;
}
int main(int c, char** a) {
  uint64_t limit = 24000000, hashed = 0, seed = 0;
  double seconds = 60;
  bool live = false;
  int k = 0;
  int* P[] = {&R, &WR, &RD, &FL, &FAULTS, &T, &D, &KINDS};
  for (int i = 1; i < c; i++) {
    std::string w = a[i];
    auto number = [&]() { return ++i < c ? strtoull(a[i], 0, 10) : 0; };
    if (w == "-l") live = true;
    else if (w == "-p") PMODE = true;
    else if (w == "-q") QUIET = true;
    else if (w == "-a") LATE = true;
    else if (w == "-n") limit = number();
    else if (w == "-f") hashed = number();
    else if (w == "-w") seed = number();
    else if (w == "-t") seconds = number();
    else if (k++ == 0) {
      V = -1;
      for (int j = 0; j < NVARIANT; j++)
        if (w == NAMES[j]) V = j;
    } else if (k <= 9) *P[k - 2] = atoi(a[i]);
  }
  if (k != 9 || V < 0 || WR > MW || RD > MR || R < 2 || R > 3) return usage();
  if (V == MINORITY) MAJ = 1;
  Model m;
  if (seed) return walk(m, seed, seconds, 400);
  return hashed ? exploreHashed(m, hashed, seconds) : explore(m, limit, live);
}
