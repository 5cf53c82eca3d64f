// A mirrored volume whose members and voters change: one or two blocks, four servers (three can have a replica, all can vote), two clients.
// The rules are M1 to M18 of README.md. The model `mirror` has the rules of a single block in more variants. This model was written
// independently of `mirror`, and is stricter: the content of a new or emptied replica is none of the written values. As in `mirror`,
// sessions are taken as correct, the number of a write is its content, and some values are kept only for the check.
#include "../search.hpp"
// clang-format off
#define VARIANTS(X) \
  X(BASE, "base") X(MINORITY, "minority") X(SHRINK_EARLY, "shrink-early") X(GROW_LATE, "grow-late") X(JOIN_LATE, "join-late") \
  X(JOIN_NOFLUSH, "join-noflush") X(PENDING_LAST_ONLY, "pending-last-only") X(REOPEN_LEAVING, "reopen-leaving") \
  X(NO_RECOMMIT, "no-recommit") X(ANY_REPLICA, "any-replica") X(NO_SETTLE_FLUSH, "no-settle-flush") \
  X(RESYNC_UNCLAIMED, "resync-unclaimed") X(MAP_SOURCE_ONLY, "map-source-only") X(MAP_TARGET_ONLY, "map-target-only") \
  X(CLEAR_EARLY, "clear-early") X(CLEAR_UNFLUSHED, "clear-unflushed") X(RESYNC_FORGET, "resync-forget") \
  X(READ_UNCHECKED, "read-unchecked") X(COPY_NO_MAP, "copy-no-map") \
  X(IDENTITY_IGNORED, "identity-ignored") X(UNCLEAN_AS_CLEAN, "unclean-as-clean") X(NO_REVOKE, "no-revoke") \
  /* two blocks */ \
  X(CLEAR_ONE_BLOCK, "clear-one-block") X(SETTLE_ONE_BLOCK, "settle-one-block") X(COPY_ONE_BLOCK, "copy-one-block") X(TRIM_ALL, "trim-all") \
  /* members and voters */ \
  X(ONE_STEP, "one-step") X(JOINT_OLD_ONLY, "joint-old-only") X(JOINT_NEW_ONLY, "joint-new-only") X(CLAIM_OLD_ONLY, "claim-old-only") \
  X(CLAIM_NEW_ONLY, "claim-new-only") X(BOTH_WAYS, "both-ways") X(CLAIM_FIRST_VOTERS, "claim-first-voters") \
  X(RECORD_SAME_ID, "record-same-id") X(LOST_RECORD_OPENS, "lost-record-opens") X(READD_SAME, "readd-same-identity") \
  X(NEW_EMPTY_MAP, "new-empty-map") X(CLEAR_PENDING, "clear-pending") X(READ_MAJORITY, "read-majority") \
  X(SIZE_EARLY, "size-early") X(JOIN_UNGROWN, "join-ungrown") X(GROW_IN_SYNC, "grow-in-sync")
// clang-format on
#define ENUMERATOR(id, name) id,
#define NAME(id, name) name,
enum Variant { VARIANTS(ENUMERATOR) NVARIANT };
static const char* NAMES[] = {VARIANTS(NAME)};
static const int N = 4, D = 3, MB = 2, MW = 5, MR = 3, GARBAGE = 7, K_MAX = 30;
static int V = BASE, R = 2, WR = 2, RD = 1, FL = 1, FAULTS = 2, T = 2, DETACH = 0, KINDS = 31, B = 1, REGIONS = 1, CHANGES = 0;
static bool GROWS = false;
enum { OFF, CLAIMING, ATTACH, SERVING, OUT };
enum { KW, KCOPY, KREPLAY };
enum { SETTLED, UNSETTLED, COPYING, FLUSHING };
// Sets of data identities and of voters have a bit for each server and one for its successor: 1 << (server + 4 * generation).
struct Cfg {
  uint8_t t, k, I, M, V, V2, cl, size; // V2: not empty in the first step of a change of voters
};
struct Srv {
  // gen: of the record of the voter; id: of the data; wb: values that a crash may leave
  uint8_t prom, gen, id, life, map, size, cache[MB], disk[MB], wb[MB];
  Cfg cfg;
};
struct Cli {
  uint8_t ph, term, pt, cut, cl, cd, sess, seen, ids, join, nf, life[D];
  uint8_t w[MB], done[MB], L[MB], dirty[MB], rep[MB], uns[MB], snf[MB], q[MB][D];
  uint8_t f, fd, fv[MB], fg, rs, rv, rc, pm, pu; // pu: I of all configs sent since the last one at a majority
  Cfg com, pen;
};
struct St {
  Srv s[N];
  Cli c[2];
  uint8_t wst[MW], wpred[MW], wterm[MW], wblk[MW], rst[MR], rval[MR], rpred[MR], rterm[MR], rblk[MR];
  uint8_t flushed, wdrop, nt, faults, nfl, changes, used, told, lostDisk, lostRecord;
};
static int pop(int x) { return __builtin_popcount(x); }
static bool newer(const Cfg& a, const Cfg& b) { return a.t != b.t ? a.t > b.t : a.k > b.k; }
static uint8_t mk(int st, int kind, int val) { return st | kind << 2 | val << 4; }
static int qst(uint8_t q) { return q & 3; }
static int qk(uint8_t q) { return q >> 2 & 3; }
static int qv(uint8_t q) { return q >> 4; }
static int regionOf(int b) { return REGIONS == 1 ? 0 : b; }
static bool majority(int mask, int set) { return !set || (V == MINORITY ? pop(mask & set) >= 1 : 2 * pop(mask & set) > pop(set)); }

struct Model {
  typedef St State;
  static int db(const Cli& k, int r) { return 1 << (r + (V == IDENTITY_IGNORED ? 0 : 4 * (k.ids >> r & 1))); }
  static int sdb(const St& s, int r) { return 1 << (r + (V == IDENTITY_IGNORED ? 0 : 4 * s.s[r].id)); }
  static int vb(const St& s, int v) { return 1 << (v + 4 * s.s[v].gen); }
  static bool quorum(const Cfg& g, int mask) {
    if (V == CLAIM_FIRST_VOTERS) return majority(mask, R == 2 ? 11 : 7);
    return (V == CLAIM_NEW_ONLY && g.V2 ? true : majority(mask, g.V)) && (V == CLAIM_OLD_ONLY || majority(mask, g.V2));
  }
  // Whether a majority of the voters has the config that was sent.
  static bool atMajority(const Cli& k) {
    const Cfg& p = k.pen;
    return (V == JOINT_NEW_ONLY && p.V2 ? true : majority(k.pm, p.V)) && (V == JOINT_OLD_ONLY || majority(k.pm, p.V2));
  }
  static int counted(const Cli& k) {
    int a = k.com.I;
    if (k.pen.t) {
      if (V == SHRINK_EARLY) a = (k.com.I & k.pen.I) | (k.pen.I & ~k.com.I);
      else if (V != GROW_LATE) a |= V == PENDING_LAST_ONLY ? k.pen.I : k.pu;
    }
    if (V != GROW_LATE && V != JOIN_LATE)
      for (int r = 0; r < D; r++)
        if (k.join >> r & 1) a |= db(k, r);
    return a;
  }
  // Whether the servers of the mask have all data of the set, as the client last saw these servers.
  static bool allIn(const Cli& k, int set, int mask) {
    for (int d = 0; d < 8; d++)
      if (set >> d & 1)
        if (db(k, d & 3) != 1 << d || !(mask >> (d & 3) & 1)) return false;
    return true;
  }
  static int mem(const Cli& k) {
    int m = 0;
    for (int r = 0; r < D; r++)
      if (k.com.I & db(k, r)) m |= 1 << r;
    return m;
  }
  static bool usable(const St& s, const Cli& k, int v) {
    return !s.s[v].gen || V == LOST_RECORD_OPENS || ((k.com.V | k.com.V2) & vb(s, v));
  }
  static bool reaches(const Cli& k, int v) { return !(k.cut >> v & 1); }
  static bool valid(const St& s, int c, int r) { return V == NO_REVOKE || s.s[r].prom == s.c[c].term; }
  // The session of client k at r works: the request reaches the same incarnation, and the handle is good.
  static bool works(const St& s, int c, int r) {
    const Cli& k = s.c[c];
    return (k.sess >> r & 1) && reaches(k, r) && valid(s, c, r) && k.life[r] == s.s[r].life;
  }
  static bool idle(const Cli& k, int r) {
    for (int b = 0; b < B; b++)
      if (qst(k.q[b][r])) return false;
    return true;
  }
  static uint8_t answered(const St& s) {
    uint8_t m = 0;
    for (int i = 0; i < WR; i++)
      if (s.wst[i] == 4) m |= 1 << i;
    for (int i = 0; i < RD; i++)
      if (s.rst[i] == 4) m |= 1 << (MW + i);
    return m;
  }
  State initial() {
    State s;
    memset(&s, 0, sizeof s);
    int I = (1 << R) - 1;
    Cfg g = {1, 1, (uint8_t)I, (uint8_t)I, (uint8_t)(R == 2 ? 11 : 7), 0, 0, 0};
    for (int v = 0; v < N; v++) {
      if (g.V >> v & 1) s.s[v].prom = 1, s.s[v].cfg = g;
      if (I >> v & 1) continue;
      for (int b = 0; b < B; b++) s.s[v].cache[b] = s.s[v].disk[b] = v < D ? GARBAGE : 0;
      if (v < D && V != NEW_EMPTY_MAP) s.s[v].map = (1 << REGIONS) - 1;
    }
    Cli& k = s.c[0];
    k.ph = SERVING, k.term = 1, k.cl = g.V, k.cd = k.sess = k.seen = I, k.com = g;
    s.nt = 1, s.used = I;
    return s;
  }
  // Computes the order of a block's values that real time demands. Returns false if the order has a circle. `pretend`: the value that a
  // read would return now, by assumption.
  static bool order(const St& s, int b, int pretend, uint8_t* reach) {
    memset(reach, 0, 8);
    uint8_t ops = 0, value[8] = {0};
    for (int i = 0; i < WR; i++)
      if (s.wst[i] && s.wblk[i] == b) ops |= 1 << i, value[i] = i + 1, reach[0] |= 1 << (i + 1);
    for (int i = 0; i < RD; i++)
      if (s.rst[i] == 4 && s.rblk[i] == b) {
        ops |= 1 << (MW + i), value[MW + i] = s.rval[i];
        if (s.rval[i] == GARBAGE) return false;
      }
    if (pretend == GARBAGE) return false;
    auto edge = [&](uint8_t pred, int to) {
      for (int o = 0; o < 8; o++)
        if ((pred & ops) >> o & 1 && value[o] != to) reach[value[o]] |= 1 << to;
    };
    for (int i = 0; i < WR; i++)
      if (ops >> i & 1) edge(s.wpred[i], i + 1);
    for (int i = 0; i < RD; i++)
      if (ops >> (MW + i) & 1) edge(s.rpred[i], s.rval[i]);
    if (pretend >= 0) edge(answered(s), pretend);
    for (int m = 0; m <= WR; m++)
      for (int i = 0; i <= WR; i++)
        if (reach[i] >> m & 1) reach[i] |= reach[m];
    for (int i = 0; i <= WR; i++)
      if (reach[i] >> i & 1) return false;
    return true;
  }
  static bool readable(const St& s, int c, int r, int b) {
    const Cli& k = s.c[c];
    int set = k.com.I & (k.pen.t ? k.pen.I : 255);
    return k.ph == SERVING && works(s, c, r) && !(k.rep[b] >> r & 1) && !k.uns[b] && (set & db(k, r));
  }
  // Whether the servers of the mask suffice to confirm the term of k for a read.
  static bool confirmed(const St& s, const Cli& k, int mask) {
    if (V == READ_UNCHECKED) return true;
    if (V == READ_MAJORITY) {
      int m = 0;
      for (int v = 0; v < N; v++)
        if (mask >> v & 1) m |= vb(s, v);
      return majority(m, k.com.V) && majority(m, k.com.V2);
    }
    return allIn(k, k.com.I | (k.pen.t ? k.pu : 0), mask);
  }
  static const Cfg& highest(const St& s, int mask) {
    static const Cfg none = {};
    const Cfg* g = &none;
    for (int v = 0; v < N; v++)
      if (mask >> v & 1 && newer(s.s[v].cfg, *g)) g = &s.s[v].cfg;
    return *g;
  }
  static int voterBits(const St& s, int mask) {
    int m = 0;
    for (int v = 0; v < N; v++)
      if (mask >> v & 1) m |= vb(s, v);
    return m;
  }
  static const char* equalNow(const St& s, int set, const char* text) {
    for (int b = 0; b < B; b++) {
      int first = -1;
      for (int r = 0; r < D; r++)
        if (set & sdb(s, r)) {
          if (first < 0) first = s.s[r].cache[b];
          else if (first != s.s[r].cache[b]) return text;
        }
    }
    return nullptr;
  }
  const char* check(const State& s) {
    uint8_t reach[8];
    for (int b = 0; b < B; b++) {
      if (!order(s, b, -1, reach)) return "VIOLATION: a read returned what it must not";
      for (int q = 1; q < 1 << N; q++) { // the choices of every later claim
        const Cfg& g = highest(s, q);
        if (!g.t || !quorum(g, voterBits(s, q))) continue;
        if (s.told > g.size) return "VIOLATION: a size was told that the next holder does not know";
        for (int r = 0; r < D; r++)
          if ((g.I & sdb(s, r)) && s.s[r].size < g.size) return "VIOLATION: a replica that the next holder may choose is too small";
        for (int r = 0; r < D; r++)
          if (g.I & sdb(s, r))
            for (int i = 0; i < WR; i++)
              if (s.flushed >> i & 1 && s.wblk[i] == b)
                for (int x = 0; x < 8; x++)
                  if ((x == s.s[r].disk[b] || (s.s[r].wb[b] >> x & 1)) && (x == GARBAGE || (reach[x] >> (i + 1) & 1)))
                    return "VIOLATION: a replica that the next holder may choose has not on disk what an acknowledged flush covers";
      }
      for (int c = 0; c < 2; c++) {
        const Cli& k = s.c[c];
        if (k.ph != SERVING || k.w[b]) continue;
        int mask = 0;
        for (int v = 0; v < N; v++)
          if (reaches(k, v) && valid(s, c, v)) mask |= 1 << v;
        if (confirmed(s, k, mask))
          for (int r = 0; r < D; r++)
            if (readable(s, c, r, b) && !order(s, b, s.s[r].cache[b], reach)) return "VIOLATION: a read now would return what it must not";
      }
    }
    for (int c = 0; c < 2; c++) {
      const Cli& k = s.c[c];
      if (k.ph != SERVING || k.pen.t) continue;
      bool quiet = true;
      for (int b = 0; b < B; b++)
        if (k.w[b] || k.uns[b]) quiet = false;
      for (int r = 0; r < D; r++)
        if (k.com.I & sdb(s, r)) {
          if (!(k.sess >> r & 1) || k.life[r] != s.s[r].life || db(k, r) != sdb(s, r) || s.s[r].prom != k.term || !idle(k, r))
            quiet = false;
          for (int b = 0; b < B; b++)
            if (k.rep[b] >> r & 1) quiet = false;
        }
      if (quiet)
        if (const char* v = equalNow(s, k.com.I, "VIOLATION: all is quiet, the config says in sync, but the replicas differ")) return v;
    }
    const Cfg& g = highest(s, 15);
    return g.cl ? equalNow(s, g.I, "VIOLATION: clean end, but the replicas in sync differ") : nullptr;
  }
  static bool isIdle(const Cli& k) {
    if (k.ph != SERVING || k.f || k.rs || k.pen.t || k.com.V2) return false;
    for (int b = 0; b < B; b++)
      if (k.w[b] || k.uns[b]) return false;
    return true;
  }
  // Whether client c cannot be expected to continue, because it reaches no quorum or no replica of I.
  static bool unable(const St& s, int c) {
    const Cli& k = s.c[c];
    bool top = k.term == s.nt;
    if (s.nt >= T && (!top || k.ph == OUT || k.ph == OFF)) return true;
    int mask = ~k.cut & 15;
    Cfg g = highest(s, mask);
    if (top && k.ph >= CLAIMING && k.ph <= SERVING) {
      if (newer(k.com, g)) g = k.com;
      if (k.pen.t && newer(k.pen, g)) g = k.pen;
    }
    int bits = voterBits(s, mask), I = g.I;
    if (!g.t || !majority(bits, g.V) || !majority(bits, g.V2)) return true;
    if (top && k.ph == SERVING) {
      I &= k.com.I;
      if (!majority(bits, k.com.V) || !majority(bits, k.com.V2)) return true;
    }
    for (int r = 0; r < D; r++)
      if ((I & sdb(s, r)) && (mask >> r & 1) && (!s.s[r].gen || ((g.V | g.V2) & vb(s, r)))) return false;
    return true;
  }
  bool goal(const State& s) {
    for (int c = 0; c < 2; c++) {
      const Cli& k = s.c[c];
      if (isIdle(k) && (k.term == s.nt || unable(s, 1 - c))) return true;
      if (k.ph == OFF && k.term == s.nt) return true;
    }
    return unable(s, 0) && unable(s, 1);
  }
  static void loseSess(St& s, int c, int r, bool serverToo) {
    Cli& k = s.c[c];
    int m = 1 << r;
    if (serverToo)
      for (int b = 0; b < B; b++) k.q[b][r] = 0;
    if (!(k.sess & m)) return;
    k.sess &= ~m;
    if (!((k.com.I | (k.pen.t ? k.pen.I : 0)) & db(k, r))) k.join &= ~m;
    if (k.com.I & db(k, r))
      for (int b = 0; b < B; b++)
        if (k.uns[b] >= COPYING) k.uns[b] = UNSETTLED, k.snf[b] = 0, k.dirty[b] &= ~mem(k);
  }
  // When a holder is replaced, its acknowledged writes may be lost if they were never flushed and a machine crash has dropped them.
  static void excuse(St& s) {
    int top = 0;
    for (int c = 0; c < 2; c++)
      if (s.c[c].ph == SERVING && s.c[c].term > top) top = s.c[c].term;
    uint8_t kill = 0, may = s.wdrop & ~s.flushed;
    for (int i = 0; i < WR; i++)
      if (s.wst[i] == 4 && (may >> i & 1) && s.wterm[i] < top) s.wst[i] = 1, kill |= 1 << i;
    for (int i = 0; i < WR; i++)
      if (s.wst[i] == 1 && (may >> i & 1) && s.wterm[i] < top)
        for (int j = 0; j < RD; j++)
          if (s.rst[j] == 4 && s.rval[j] == i + 1 && s.rblk[j] == s.wblk[i] && s.rterm[j] < top) s.rst[j] = 5, kill |= 1 << (MW + j);
    if (!kill) return;
    for (int i = 0; i < WR; i++) s.wpred[i] &= ~kill;
    for (int j = 0; j < RD; j++) s.rpred[j] &= ~kill;
    for (int c = 0; c < 2; c++) s.c[c].fg &= ~kill;
  }
  static void openSess(St& s, int c, int r) {
    Cli& k = s.c[c];
    Srv& v = s.s[r];
    int m = 1 << r;
    bool first = !(k.seen & m), life = !first && k.life[r] != v.life, wasId = k.ids >> r & 1, same = k.cd & m;
    k.seen |= m, k.cd |= m, k.sess |= m, k.life[r] = v.life;
    k.ids = v.id ? k.ids | m : k.ids & ~m;
    for (int b = 0; b < B; b++) k.q[b][r] = 0;
    if (k.ph == CLAIMING) return;
    int I = k.ph == ATTACH ? k.pen.I : k.com.I | (k.pen.t ? k.pen.I : 0);
    if ((I & db(k, r)) && (first || wasId == v.id || V == IDENTITY_IGNORED)) {
      for (int b = 0; b < B; b++) {
        if (life) k.rep[b] |= k.L[b] ? m : 0, k.done[b] &= ~m;
        if (!k.L[b]) k.rep[b] &= ~m;
        if (k.rep[b] & m) k.q[b][r] = mk(1, KREPLAY, k.L[b]);
        else if (k.w[b] && !(k.done[b] & m)) k.q[b][r] = mk(1, KW, k.w[b]);
      }
      return;
    }
    for (int b = 0; b < B; b++) { // its resync starts: the data to copy
      int bit = 1 << regionOf(b), peers = k.w[b] ? bit : 0, need;
      for (int x = 0; x < D; x++)
        if (x != r && (k.com.I & db(k, x))) {
          peers |= s.s[x].map & bit;
          if (qst(k.q[b][x])) peers |= bit;
        }
      if (V == MAP_SOURCE_ONLY) need = peers;
      else if (V == MAP_TARGET_ONLY) need = v.map & bit;
      else need = peers | (v.map & bit);
      if (V == RESYNC_FORGET && !first && same && (k.nf & m)) need = k.dirty[b] & m;
      if (V == COPY_ONE_BLOCK && b > 0 && REGIONS == 1) need = 0;
      k.dirty[b] = need ? k.dirty[b] | m : k.dirty[b] & ~m;
      k.rep[b] &= ~m, k.done[b] &= ~m;
      if (k.w[b]) k.q[b][r] = mk(1, KW, k.w[b]);
    }
    k.join &= ~m, k.nf |= m;
  }
  static void ended(St& s, int c, int ph) {
    Cli &k = s.c[c], n;
    memset(&n, 0, sizeof n);
    n.ph = ph, n.term = n.pt = k.term, n.cut = k.cut;
    for (int b = 0; b < B; b++)
      for (int r = 0; r < D; r++) n.q[b][r] = qst(k.q[b][r]) == 1 ? k.q[b][r] : 0;
    k = n;
  }
  static void copied(Cli& k, int b) {
    if (V == NO_SETTLE_FLUSH) k.uns[b] = SETTLED;
    else k.uns[b] = FLUSHING, k.snf[b] = mem(k);
  }
  static void answer(St& s, int c, int r, int b) {
    Cli& k = s.c[c];
    int m = 1 << r;
    uint8_t q = k.q[b][r];
    k.q[b][r] = 0;
    if (qk(q) == KW) {
      if (qv(q) == k.w[b]) k.done[b] |= m;
    } else if (qk(q) == KCOPY) {
      k.dirty[b] &= ~m;
      if (k.uns[b] == COPYING && !(k.dirty[b] & mem(k))) copied(k, b);
    } else {
      k.rep[b] &= ~m;
      if (k.w[b] && !(k.done[b] & m)) k.q[b][r] = mk(1, KW, k.w[b]);
    }
  }
  static void doWrite(St& s, int r, int b, int val, bool map) {
    Srv& v = s.s[r];
    v.cache[b] = val, v.wb[b] |= 1 << val;
    if (val == v.disk[b] && v.wb[b] == 1 << val) v.wb[b] = 0;
    if (map) v.map |= 1 << regionOf(b);
  }
  static void doFlush(St& s, int r) {
    for (int b = 0; b < B; b++) s.s[r].disk[b] = s.s[r].cache[b], s.s[r].wb[b] = 0;
  }
  static void send(Cli& n, Cfg g) { // a config: version k + 1 of this term
    g.t = n.term, g.k = (n.pen.t ? n.pen.k : n.com.t == n.term ? n.com.k : 0) + 1;
    n.pen = g, n.pm = 0, n.pu |= g.I;
  }
  // Makes the moves that a client makes at once when it has everything for them. If it made them later, less would be checked.
  static void post(St& s, std::string* note) {
    for (int c = 0; c < 2; c++) {
      Cli& k = s.c[c];
      if ((k.ph == ATTACH || k.ph == SERVING) && k.pen.t && atMajority(k)) {
        int ph = k.ph;
        k.com = k.pen, memset(&k.pen, 0, sizeof k.pen), k.pm = k.pu = 0;
        for (int r = 0; r < D; r++)
          if (k.com.I & db(k, r)) k.join &= ~(1 << r);
        if (note) *note += strf("; %s: config %d.%d is at a majority", c ? "Y" : "X", k.com.t, k.com.k);
        if (k.com.size) s.told = 1;
        if (ph == ATTACH) {
          k.ph = SERVING;
          for (int r = 0; r < D; r++)
            if (!(k.com.I & db(k, r))) k.sess &= ~(1 << r);
          excuse(s);
        } else if (k.com.cl) {
          ended(s, c, OFF);
          if (note) *note += ", detached";
        }
      }
      if (k.ph == SERVING) {
        for (int b = 0; b < B; b++)
          if (k.w[b] && allIn(k, counted(k), k.done[b])) {
            s.wst[k.w[b] - 1] = 4, k.L[b] = k.w[b];
            if (note) *note += strf("; %s: W%d is acknowledged", c ? "Y" : "X", k.w[b]);
            k.w[b] = k.done[b] = 0;
            excuse(s);
          }
        if (k.f && allIn(k, counted(k), k.fd)) {
          s.flushed |= k.fg;
          for (int b = 0; b < B; b++) {
            if (k.L[b] == k.fv[b] || V == TRIM_ALL) k.L[b] = 0;
            k.fv[b] = 0;
          }
          k.f = k.fd = k.fg = 0;
          if (note) *note += strf("; %s: the FLUSH is acknowledged", c ? "Y" : "X");
        }
        if (k.rs && k.rv && confirmed(s, k, k.rc)) {
          s.rst[k.rs - 1] = 4, s.rval[k.rs - 1] = k.rv - 1;
          if (note) *note += strf("; %s: R%d is answered: W%d", c ? "Y" : "X", k.rs, k.rv - 1);
          k.rs = k.rv = k.rc = 0;
          excuse(s);
        }
      }
      bool any = false;
      for (int b = 0; b < B; b++)
        for (int r = 0; r < D; r++) {
          bool now = k.cd >> r & 1, mine = now && (k.sess >> r & 1) && (k.ph == SERVING || k.ph == ATTACH);
          if (V != NO_REVOKE && (now ? k.term : k.pt) != s.s[r].prom && !mine && qst(k.q[b][r]) == 1) k.q[b][r] = 0;
          if (!mine && qst(k.q[b][r]) == 2) k.q[b][r] = 0;
          if (k.q[b][r] && !now) any = true;
        }
      if (!any) k.pt = 0;
    }
    s.wdrop &= ~s.flushed;
  }
  template <class F> struct Moves {
    const State& o;
    F& give;
    int c; // whose moves
    const Cli& k;
    const char* name;
    int part = 0, at = 0; // of the moves: walk() prefers some of them
    void emit(State& s, int kind, const std::string& label) {
      std::string note;
      post(s, g_label ? &note : nullptr);
      give(s, kind | (c * 64 + part * 4 + at) << 1, g_label ? label + note : label);
    }
    static const char* set(int x) {
      static char text[8][24];
      static int at;
      char *p = text[at++ & 7], *e = p;
      *e++ = '{';
      for (int d = 0; d < 8; d++)
        if (x >> d & 1) {
          *e++ = "abcw"[d & 3];
          if (d > 3) *e++ = '\'';
        }
      *e++ = '}', *e = 0;
      return p;
    }
    static std::string text(const Cfg& g) {
      return strf("config %d.%d in sync %s members %s voters %s%s%s", g.t, g.k, set(g.I), set(g.M), set(g.V), g.V2 ? set(g.V2) : "",
                  g.cl ? " clean" : "");
    }
    static char sn(int v) { return "abcw"[v]; }
    void run() {
      attach();
      part = 1, configs(), part = 2, at = 0;
      bool told = false;
      for (int v = 0; v < N; v++)
        if (reaches(k, v) && o.s[v].prom > k.term) told = true;
      if (told && k.ph >= CLAIMING && k.ph <= SERVING) {
        State s = o;
        ended(s, c, OUT);
        emit(s, NORMAL, LAB("%s: is told of a higher term: ends, its I/O fails", name));
      }
      for (int r = 0; r < D; r++) {
        at = r, part = 3;
        if (k.ph == ATTACH || k.ph == SERVING) sessions(r);
        part = 4;
        if (k.ph == SERVING) removal(r);
        part = 5;
        if (k.ph == SERVING) resync(r), flushes(r);
        part = 6;
        if (k.ph == SERVING) clearing(r);
        part = 7, executes(r);
      }
      at = 0, part = 8;
      if (k.ph == SERVING) settles(), part = 9, application(), part = 10, changes(), part = 13, growth(), at = 0, part = 11, detach();
      part = 12, faults();
    }
    void attach() {
      bool stuck = k.ph == CLAIMING && (k.com.t ? quorum(k.com, k.cl) : false);
      for (int r = 0; r < D && stuck; r++)
        if ((k.com.I & db(k, r)) && reaches(k, r)) stuck = false;
      if ((k.ph == OFF || k.ph == OUT || stuck) && o.nt < T) {
        State s = o;
        Cli& n = s.c[c];
        Cli old = n;
        memset(&n, 0, sizeof n);
        n.ph = CLAIMING, n.term = ++s.nt, n.pt = old.term, n.cut = old.cut;
        memcpy(n.q, old.q, sizeof n.q);
        emit(s, NORMAL, LAB("%s: CLAIM with term %d", name, n.term));
      }
      if (k.ph != CLAIMING) return;
      for (int v = 0; v < N; v++) {
        at = v;
        if (!reaches(k, v)) continue;
        if (o.s[v].prom < k.term) {
          State s = o;
          Cli& n = s.c[c];
          s.s[v].prom = k.term;
          if (newer(s.s[v].cfg, n.com)) n.com = s.s[v].cfg;
          if (v < D) openSess(s, c, v);
          n.cl |= vb(s, v);
          emit(s, NORMAL, LAB("%c: promises term %d to %s (%s)", sn(v), k.term, name, text(o.s[v].cfg).c_str()));
        } else if (v < D && o.s[v].prom == k.term && !(k.sess >> v & 1)) {
          State s = o;
          openSess(s, c, v);
          emit(s, NORMAL, LAB("%s: opens a new session at %c", name, sn(v)));
        }
      }
      if (!k.com.t || !quorum(k.com, k.cl)) return;
      bool ok = false;
      int I = k.com.I;
      for (int r = 0; r < D; r++)
        if ((k.sess >> r & 1) && usable(o, k, r) && ((I & db(k, r)) || V == ANY_REPLICA)) {
          if (!(I & db(k, r)) && ok) continue;
          I |= db(k, r), ok = true;
        }
      if (!ok) return;
      State s = o;
      Cli& n = s.c[c];
      for (int b = 0; b < B; b++) n.uns[b] = V == UNCLEAN_AS_CLEAN || k.com.cl ? SETTLED : UNSETTLED;
      for (int r = 0; r < D; r++)
        if (!usable(o, k, r)) n.sess &= ~(1 << r);
      Cfg g = k.com;
      g.I = I, g.cl = 0;
      n.com = k.com, n.ph = ATTACH, send(n, g);
      if (V == NO_RECOMMIT) {
        n.com = n.pen, n.com.k = 0, n.ph = SERVING, n.pm = n.pu = 0, memset(&n.pen, 0, sizeof n.pen);
        for (int r = 0; r < D; r++)
          if (!(n.com.I & db(n, r))) n.sess &= ~(1 << r);
        excuse(s);
      }
      emit(s, NORMAL, LAB("%s: has its majority, the end was %s: writes %s", name, k.com.cl ? "clean" : "not clean", text(n.pen).c_str()));
    }
    void configs() {
      if (!k.pen.t) return;
      int all = k.pen.V | k.pen.V2 | k.com.V | k.com.V2;
      for (int v = 0; v < N; v++) {
        int m = vb(o, v);
        at = v;
        if (!(all & m) || (k.pm & m) || !reaches(k, v) || o.s[v].prom > k.term) continue;
        State s = o;
        s.s[v].prom = k.term, s.c[c].pm |= m;
        if (newer(k.pen, s.s[v].cfg)) s.s[v].cfg = k.pen;
        emit(s, NORMAL, LAB("%c: stores config %d.%d of %s", sn(v), k.pen.t, k.pen.k, name));
      }
    }
    void sessions(int r) {
      int m = 1 << r, now = sdb(o, r), set = k.com.I | k.pen.I;
      if (!(k.sess & m)) {
        int sent = k.com.I | k.pu;
        bool leaving = k.ph == SERVING && k.pen.t && V != REOPEN_LEAVING && (sent & (db(k, r) | now)) && !(k.pen.I & db(k, r));
        if (!reaches(k, r) || o.s[r].prom > k.term || leaving || !usable(o, k, r)) return;
        if (k.ph == ATTACH && !(k.pen.I & now)) return;
        if (k.ph == SERVING && !(set & now)) { // the replica returns: a member; all others of I are claimed, one has a session
          if (!(k.com.M & now) || (k.pen.t && !(k.pen.M & now))) return;
          if ((mem(k) & ~k.cd & ~m) && V != RESYNC_UNCLAIMED) return;
          if (!(set & db(k, r)) && !(mem(k) & k.sess & ~m)) return;
          if (set & db(k, r)) return; // if the identity is another one, the old one is removed first
        }
        State s = o;
        s.s[r].prom = k.term;
        openSess(s, c, r);
        emit(s, NORMAL, LAB("%s: opens a new session at %c", name, sn(r)));
      } else if (!reaches(k, r) || (o.s[r].prom > k.term && V != NO_REVOKE)) {
        State s = o;
        loseSess(s, c, r, false);
        emit(s, NORMAL, LAB("%s: gives its session to %c up", name, sn(r)));
      }
    }
    // M11, and the removal of a member.
    void removal(int r) {
      const Cfg& g = k.pen.t ? k.pen : k.com;
      if (g.cl || g.k >= K_MAX) return;
      for (int x : {1 << r, 16 << r}) {
        if (!(g.I & x)) continue;
        bool lost = !usable(o, k, r) || (!(k.sess >> r & 1) && (!reaches(k, r) || (k.seen >> r & 1) || o.s[r].prom > k.term));
        if (!lost && db(k, r) == x && sdb(o, r) == x) continue;
        int left = g.I & ~x, claimed = 0;
        for (int y = 0; y < D; y++)
          if ((left & k.com.I & db(k, y)) && (k.cd >> y & 1)) claimed = 1;
        if (!claimed) continue;
        State s = o;
        Cli& n = s.c[c];
        Cfg h = g;
        h.I = left;
        n.join &= ~(1 << r);
        for (int b = 0; b < B; b++) n.rep[b] &= ~(1 << r);
        loseSess(s, c, r, false), send(n, h);
        emit(s, NORMAL, LAB("%s: %c does not answer, writes %s", name, sn(r), text(n.pen).c_str()));
      }
    }
    void resync(int r) {
      int m = 1 << r;
      if (!(k.sess & m) || ((k.com.I | k.pen.I) & db(k, r)) || !(k.com.M & db(k, r))) return;
      bool ready = true, dirty = false;
      for (int b = 0; b < B; b++) {
        if (k.uns[b] || (qst(k.q[b][r]) && !(qk(k.q[b][r]) == KW && qv(k.q[b][r]) == k.w[b]))) ready = false;
        if (!(k.dirty[b] & m)) continue;
        dirty = true;
        if (qst(k.q[b][r]) || k.uns[b] || k.w[b]) continue;
        for (int p = 0; p < D; p++)
          if ((k.com.I & db(k, p)) && (!k.pen.t || (k.pen.I & db(k, p))) && works(o, c, p) && !(k.rep[b] >> p & 1)) {
            State s = o;
            s.c[c].q[b][r] = mk(1, KCOPY, o.s[p].cache[b]);
            emit(s, NORMAL, LAB("%s: copies block %d from %c (W%d) to %c", name, b, sn(p), o.s[p].cache[b], sn(r)));
          }
      }
      if (dirty || k.pen.t || !ready) return;
      if (!(k.join & m) && k.com.size > o.s[r].size && V != JOIN_UNGROWN) return;
      if (!(k.join & m) && (mem(k) & k.sess & ~m)) {
        State s = o;
        s.c[c].join |= m;
        if (V == JOIN_NOFLUSH) s.c[c].nf &= ~m;
        emit(s, NORMAL, LAB("%s: %c is copied and joins", name, sn(r)));
      } else if (k.join & m) {
        State s = o;
        Cli& n = s.c[c];
        if (k.nf & m) {
          if (!works(o, c, r)) return;
          doFlush(s, r), n.nf &= ~m;
          emit(s, NORMAL, LAB("%c: FLUSH for the resync", sn(r)));
        } else if (k.com.k < K_MAX) {
          Cfg g = k.com;
          g.I |= db(k, r), send(n, g);
          emit(s, NORMAL, LAB("%s: %c is flushed, writes %s", name, sn(r), text(n.pen).c_str()));
        }
      }
    }
    void flushes(int r) {
      int m = 1 << r;
      if (!works(o, c, r)) return;
      for (int b = 0; b < B; b++)
        if (k.uns[b] == FLUSHING && (k.snf[b] & m)) {
          State s = o;
          Cli& n = s.c[c];
          doFlush(s, r), n.snf[b] &= ~m;
          if (!n.snf[b]) n.uns[b] = SETTLED;
          if (V == SETTLE_ONE_BLOCK && !n.uns[b])
            for (int x = 0; x < B; x++)
              if (n.uns[x] == UNSETTLED && regionOf(x) == regionOf(b)) n.uns[x] = SETTLED;
          emit(s, NORMAL, LAB("%c: FLUSH for the settling of block %d", sn(r), b));
        }
      bool replays = false;
      for (int b = 0; b < B; b++)
        if (k.rep[b] & m) replays = true;
      if (k.f && (counted(k) & db(k, r)) && !(k.fd & m) && !replays) {
        State s = o;
        doFlush(s, r), s.c[c].fd |= m;
        emit(s, NORMAL, LAB("%c: executes and answers the FLUSH of %s", sn(r), name));
      }
    }
    void clearing(int r) {
      bool all = k.com.I == (V == CLEAR_PENDING && k.pen.t ? k.pen.M : k.com.M);
      if (!works(o, c, r) || !(k.com.I & db(k, r)) || (k.pen.t && V != CLEAR_PENDING) || (!all && V != CLEAR_EARLY)) return;
      for (int g = 0; g < REGIONS; g++) {
        bool may = o.s[r].map >> g & 1;
        for (int b = 0; b < B && may; b++) {
          if (regionOf(b) != g) continue;
          if (V == CLEAR_ONE_BLOCK && b > 0) continue;
          if (k.w[b] || k.uns[b] || k.rep[b] || (k.L[b] && V != CLEAR_UNFLUSHED)) may = false;
          for (int x = 0; x < D; x++)
            if ((k.sess >> x & 1) && qst(k.q[b][x])) may = false;
        }
        if (!may) continue;
        State s = o;
        s.s[r].map &= ~(1 << g);
        emit(s, NORMAL, LAB("%c: clears its bit of region %d for %s", sn(r), g, name));
      }
    }
    void settles() {
      if (k.pen.t) return;
      for (int b = 0; b < B; b++) {
        if (k.uns[b] != UNSETTLED || k.w[b]) continue;
        bool ready = true, bit = false;
        for (int d = 0; d < 8; d++)
          if (k.com.I >> d & 1) {
            int r = d & 3;
            if (!(k.sess >> r & 1) || db(k, r) != 1 << d || qst(k.q[b][r]) || (k.rep[b] >> r & 1)) ready = false;
            if (o.s[r].map >> regionOf(b) & 1) bit = true;
          }
        if (!ready) continue;
        int in = mem(k);
        for (int p = 0; p < D; p++) {
          if (!(in >> p & 1) || (bit && !works(o, c, p))) continue;
          State s = o;
          Cli& n = s.c[c];
          if (!bit) {
            n.uns[b] = SETTLED;
            emit(s, NORMAL, LAB("%s: block %d has no bit anywhere: settled", name, b));
            break;
          }
          n.uns[b] = COPYING, n.dirty[b] &= ~in;
          for (int r = 0; r < D; r++)
            if ((in >> r & 1) && r != p) n.q[b][r] = mk(1, KCOPY, o.s[p].cache[b]), n.dirty[b] |= 1 << r;
          if (!(n.dirty[b] & in)) copied(n, b);
          emit(s, NORMAL, LAB("%s: settles block %d with that of %c (W%d)", name, b, sn(p), o.s[p].cache[b]));
        }
      }
    }
    void application() {
      bool ending = k.pen.t && k.pen.cl;
      if (ending) return;
      int w = 0;
      while (w < WR && o.wst[w]) w++;
      for (int b = 0; b < B && w < WR; b++) {
        if (k.w[b] || (k.rs && o.rblk[k.rs - 1] == b) || k.uns[b] >= COPYING) continue;
        bool may = true;
        for (int r = 0; r < D; r++)
          if ((k.sess >> r & 1) && qst(k.q[b][r]) && qk(k.q[b][r]) != KREPLAY) may = false;
        if (!may) continue;
        State s = o;
        Cli& n = s.c[c];
        s.wst[w] = 1, s.wpred[w] = answered(o), s.wterm[w] = k.term, s.wblk[w] = b;
        n.w[b] = w + 1, n.done[b] = 0;
        for (int r = 0; r < D; r++)
          if ((k.sess >> r & 1) && !(k.rep[b] >> r & 1)) n.q[b][r] = mk(1, KW, w + 1);
        emit(s, NORMAL, LAB("%s: issues W%d to block %d", name, w + 1, b));
      }
      bool log = false;
      for (int b = 0; b < B; b++)
        if (k.L[b]) log = true;
      if (!k.f && log && o.nfl < FL) {
        State s = o;
        Cli& n = s.c[c];
        s.nfl++, n.f = 1, n.fd = 0, n.fg = answered(o) & ((1 << MW) - 1);
        for (int b = 0; b < B; b++) n.fv[b] = k.L[b];
        emit(s, NORMAL, LAB("%s: issues a FLUSH", name));
      }
      reads();
    }
    void reads() {
      int at = k.rs ? k.rs - 1 : 0;
      while (!k.rs && at < RD && o.rst[at]) at++;
      if (at >= RD) return;
      for (int b = 0; b < B; b++) {
        if (k.rs ? o.rblk[at] != b : k.w[b]) continue;
        auto with = [&](int mask, int value, const std::string& label) {
          State s = o;
          Cli& n = s.c[c];
          if (!k.rs) s.rst[at] = 1, s.rpred[at] = answered(o), s.rterm[at] = k.term, s.rblk[at] = b, n.rs = at + 1;
          n.rc |= mask;
          if (value >= 0) n.rv = value + 1;
          emit(s, NORMAL, label);
        };
        if (!k.rv)
          for (int r = 0; r < D; r++)
            if (readable(o, c, r, b))
              with(1 << r, o.s[r].cache[b], LAB("%c: executes R%d of %s, block %d: W%d", sn(r), at + 1, name, b, o.s[r].cache[b]));
        if (!confirmed(o, k, k.rs ? k.rc : 0))
          for (int v = 0; v < N; v++)
            if (!((k.rs ? k.rc : 0) >> v & 1) && reaches(k, v) && o.s[v].prom == k.term && usable(o, k, v))
              with(1 << v, -1, LAB("%c: confirms term %d to R%d of %s", sn(v), k.term, at + 1, name));
      }
    }
    // M21: replicas that count or return grow first, then the config states the size.
    void growth() {
      if (!GROWS) return;
      int grown = 0;
      for (int r = 0; r < D; r++) {
        if (!(k.sess >> r & 1)) continue;
        if (o.s[r].size) grown |= 1 << r;
        else if (works(o, c, r)) {
          State s = o;
          s.s[r].size = 1;
          at = r;
          emit(s, NORMAL, LAB("%c: grows for %s", sn(r), name));
        }
      }
      if (k.pen.t || k.com.cl || k.com.size || k.com.k >= K_MAX) return;
      bool all = allIn(k, V == GROW_IN_SYNC ? k.com.I : counted(k), grown);
      if (!all && (V != SIZE_EARLY || !grown)) return;
      State s = o;
      Cfg g = k.com;
      g.size = 1, send(s.c[c], g);
      emit(s, NORMAL, LAB("%s: all that count have grown, writes %s, the new size", name, text(s.c[c].pen).c_str()));
    }
    // M17: the first step names both sets of voters, the second one the new set, or the old one again.
    void changes() {
      if (k.com.cl || (k.pen.t && k.pen.cl) || k.com.k >= K_MAX) return;
      auto propose = [&](const Cfg& g, bool counts, int fresh) {
        State s = o;
        if (counts) s.changes++;
        s.used |= g.M;
        for (int r = 0; r < D; r++)
          if (k.com.M & ~g.M & (17 << r)) s.c[c].join &= ~(1 << r), loseSess(s, c, r, false);
        if (fresh >= 0) s.s[fresh].id = 1, s.s[fresh].map = (1 << REGIONS) - 1, s.s[fresh].life++;
        send(s.c[c], g);
        emit(s, NORMAL, LAB("%s: changes to %s", name, text(s.c[c].pen).c_str()));
      };
      if (k.pen.t) {
        if (k.pen.V2 && !k.com.V2 && o.changes < CHANGES) { // abandons the first step
          Cfg g = k.pen;
          g.V2 = 0;
          propose(g, true, -1);
        }
        if (V == BOTH_WAYS && k.com.V2 && !k.pen.V2 && o.changes < CHANGES) {
          Cfg g = k.pen;
          g.V = k.pen.V == k.com.V ? k.com.V2 : k.com.V;
          propose(g, true, -1);
        }
        return;
      }
      if (k.com.V2) {
        for (int way = 0; way < 2; way++) {
          Cfg g = k.com;
          g.V = way ? k.com.V : k.com.V2, g.V2 = 0;
          propose(g, false, -1);
        }
        return;
      }
      if (o.changes >= CHANGES) return;
      for (int d = 0; d < 8; d++)
        for (int x = 0; x < N; x++) {
          int out = 1 << d, in = vb(o, x);
          if (!(k.com.V & out) || (k.com.V & in)) continue;
          if ((k.com.V & ~out) & (17 << x)) continue; // no server has two votes
          Cfg g = k.com;
          (V == ONE_STEP ? g.V : g.V2) = (k.com.V & ~out) | in;
          propose(g, true, -1);
        }
      for (int r = 0; r < D; r++) {
        int at = sdb(o, r);
        if (!((k.com.M | k.com.I) & (17 << r)) && reaches(k, r)) { // adds a member; one that was a member gets a new identity
          bool again = o.used & at;
          if (again && o.s[r].id) continue;
          Cfg g = k.com;
          g.M |= V == READD_SAME || !again ? at : 16 << r;
          propose(g, true, again && V != READD_SAME ? r : -1);
        }
        for (int x : {1 << r, 16 << r})
          if ((k.com.M & x) && !(k.com.I & x)) { // removes a member that is not in sync
            Cfg g = k.com;
            g.M &= ~x;
            propose(g, true, -1);
          }
      }
    }
    void detach() {
      if (!DETACH || k.f || k.rs || k.pen.t || k.join || k.com.V2 || k.com.k >= K_MAX) return;
      for (int b = 0; b < B; b++) {
        if (k.w[b] || k.L[b] || k.rep[b] || k.uns[b]) return;
        for (int r = 0; r < D; r++)
          if ((k.sess >> r & 1) && qst(k.q[b][r])) return;
      }
      State s = o;
      Cfg g = k.com;
      g.cl = 1, send(s.c[c], g);
      emit(s, NORMAL, LAB("%s: detaches, writes %s", name, text(s.c[c].pen).c_str()));
    }
    void executes(int r) {
      bool now = k.cd >> r & 1, ok = V == NO_REVOKE || (now ? k.term : k.pt) == o.s[r].prom;
      bool mine = now && (k.sess >> r & 1) && (k.ph == SERVING || k.ph == ATTACH);
      for (int b = 0; b < B; b++) {
        uint8_t q = k.q[b][r];
        if (qst(q) == 1) {
          State s = o;
          if (ok) {
            doWrite(s, r, b, qv(q), !(V == COPY_NO_MAP && qk(q) == KCOPY));
            if (mine && reaches(k, r)) answer(s, c, r, b);
            else s.c[c].q[b][r] = mine ? mk(2, qk(q), qv(q)) : 0;
            static const char* KIND[] = {"", "the copy of ", "the replay of "};
            emit(s, NORMAL,
                 LAB("%c: executes %sW%d of %s on block %d%s", sn(r), KIND[qk(q)], qv(q), name, b,
                     mine && reaches(k, r) ? ", answered" : ""));
          } else {
            s.c[c].q[b][r] = 0;
            if (mine) loseSess(s, c, r, false);
            emit(s, NORMAL, LAB("%c: refuses W%d of %s: handle revoked", sn(r), qv(q), name));
          }
        } else if (qst(q) == 2 && (!mine || reaches(k, r))) {
          State s = o;
          if (mine) answer(s, c, r, b);
          else s.c[c].q[b][r] = 0;
          emit(s, NORMAL, LAB("%s: the answer of %c for W%d arrives", name, sn(r), qv(q)));
        }
      }
    }
    void faults() {
      for (int v = 0; v < N; v++) {
        if ((KINDS & 1) && o.faults < FAULTS && reaches(k, v)) {
          State s = o;
          s.faults++, s.c[c].cut |= 1 << v;
          emit(s, FAULT, LAB("%s and %c are cut off from each other", name, sn(v)));
        }
        if (k.cut >> v & 1) {
          State s = o;
          s.c[c].cut &= ~(1 << v);
          emit(s, FAULT, LAB("%s and %c hear each other again", name, sn(v)));
        }
      }
      if ((KINDS & 16) && o.faults < FAULTS && k.ph >= CLAIMING && k.ph <= SERVING) {
        State s = o;
        s.faults++, ended(s, c, OUT);
        emit(s, FAULT, LAB("%s crashes", name));
      }
      if (c == 0 && o.faults < FAULTS)
        for (int v = 0; v < N; v++) serverFaults(v);
    }
    void serverFaults(int v) {
      if ((KINDS & 2) && !((o.c[0].cut & o.c[1].cut) >> v & 1)) {
        State s = o;
        s.faults++, s.c[0].cut |= 1 << v, s.c[1].cut |= 1 << v;
        emit(s, FAULT, LAB("%c is unreachable for all", sn(v)));
      }
      if ((KINDS & 64) && !o.lostRecord && o.s[v].prom) {
        State s = o;
        s.faults++, s.lostRecord = 1, s.s[v].prom = 0, memset(&s.s[v].cfg, 0, sizeof s.s[v].cfg);
        if (V != RECORD_SAME_ID) s.s[v].gen = 1;
        if (v < D)
          for (int x = 0; x < 2; x++) loseSess(s, x, v, true);
        for (int x = 0; x < 2; x++)
          if (s.c[x].rs) s.c[x].rc &= ~(1 << v);
        emit(s, FAULT, LAB("%c: loses its voter's record", sn(v)));
      }
      if (v >= D) return;
      if (KINDS & 4)
        for (int done = 0; done < 2; done++) {
          State s = o;
          bool any = false;
          s.faults++;
          for (int x = 0; x < 2; x++)
            for (int b = 0; b < B; b++) {
              const Cli& n = o.c[x];
              if (done && qst(n.q[b][v]) == 1 && (n.cd >> v & 1 ? n.term : n.pt) == o.s[v].prom)
                doWrite(s, v, b, qv(n.q[b][v]), true), any = true;
            }
          if (done && !any) continue;
          for (int x = 0; x < 2; x++) loseSess(s, x, v, true);
          emit(s, FAULT, LAB("%c: the server process crashes%s", sn(v), done ? " after executing what was under way" : ""));
        }
      if (KINDS & 8) machineCrash(v);
      if ((KINDS & 32) && !o.lostDisk && !o.s[v].id) {
        State s = o;
        s.faults++, s.lostDisk = 1;
        Srv& x = s.s[v];
        for (int b = 0; b < B; b++) x.cache[b] = x.disk[b] = GARBAGE, x.wb[b] = 0;
        x.size = 0, x.id = 1, x.map = (1 << REGIONS) - 1, x.life++;
        for (int y = 0; y < 2; y++) loseSess(s, y, v, true);
        emit(s, FAULT, LAB("%c: its disk is lost, an empty one takes its place", sn(v)));
      }
    }
    // Each block keeps one of the values that it had since the last flush.
    void machineCrash(int v) {
      for (int x = 0; x < 8; x++)
        for (int y = 0; y < (B > 1 ? 8 : 1); y++) {
          int value[2] = {x, y};
          bool may = true;
          for (int b = 0; b < B; b++)
            if (value[b] != o.s[v].disk[b] && !(o.s[v].wb[b] >> value[b] & 1)) may = false;
          if (!may) continue;
          State s = o;
          s.faults++;
          for (int b = 0; b < B; b++) {
            if (value[b] != o.s[v].cache[b])
              for (int i = 0; i < WR; i++)
                if (s.wst[i] && s.wblk[i] == b) s.wdrop |= 1 << i;
            s.s[v].cache[b] = s.s[v].disk[b] = value[b], s.s[v].wb[b] = 0;
          }
          s.s[v].life++;
          for (int c2 = 0; c2 < 2; c2++) loseSess(s, c2, v, true);
          excuse(s);
          emit(s, FAULT, LAB("%c: the server machine crashes, content is W%d W%d", sn(v), x, B > 1 ? y : 0));
        }
    }
  };
  template <class F> void successors(const State& o, F give) {
    static const char* CN[] = {"X", "Y"};
    for (int c = 0; c < 2; c++) Moves<F>{o, give, c, o.c[c], CN[c]}.run();
  }
};
static int usage() {
  puts("usage: members VARIANT replicas writes reads flushes faults terms detach(0|1) kinds blocks regions changes [OPTION...]\n"
       "  kinds  the sum of: 1 client and server are cut off, 2 a server is unreachable for all, 4 a server process crashes,\n"
       "         8 a server machine crashes, 16 a client crashes, 32 a replica loses its disk, 64 a server loses its voter's record\n"
       "  -g     the volume grows once\n"
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
  int* P[] = {&R, &WR, &RD, &FL, &FAULTS, &T, &DETACH, &KINDS, &B, &REGIONS, &CHANGES};
  for (int i = 1; i < c; i++) {
    std::string w = a[i];
    auto number = [&]() { return ++i < c ? strtoull(a[i], 0, 10) : 0; };
    if (w == "-l") live = true;
    else if (w == "-g") GROWS = true;
    else if (w == "-n") limit = number();
    else if (w == "-f") hashed = number();
    else if (w == "-w") seed = number();
    else if (w == "-t") seconds = number();
    else if (k++ == 0) {
      V = -1;
      for (int j = 0; j < NVARIANT; j++)
        if (w == NAMES[j]) V = j;
    } else if (k <= 12) *P[k - 2] = atoi(a[i]);
  }
  if (k != 12 || V < 0 || WR > MW || RD > MR || R < 2 || R > D || B < 1 || B > MB) return usage();
  Model m;
  if (seed) return walk(m, seed, seconds, 500);
  return hashed ? exploreHashed(m, hashed, seconds) : explore(m, limit, live);
}
