// A farm of two or three servers and one or two pools. A pool is a file system on a shared disk. The record of the pool is outside of this
// file system.
// The rules are F1 to F16 of README.md. This model was written independently of `farm`, and is closer to the product: one record serves all
// volumes of a pool, the holds and the other facts are in the file system, and a mount writes (it recovers the log of the file system). A
// write of an earlier generation after a later mount therefore destroys the pool. A volume is one block, and the number of a write is its
// content. Everything that a server or its kernel sends is a message, and the storage executes or refuses this message at any later time.
// If a process crashes, the kernel keeps its mount and its cache; if a machine crashes, both are lost. The model has no clock.
//
// Engines: a = a fence for each generation; b = a fence for each machine (the registered key is the generation); m = a command that ends
// the machine. Modes: 1 = client X alone; 2 = Y takes volumes over from X; o = the same, and X only reads; r = the second instance of a
// client replaces the first one.
#include "../search.hpp"
// clang-format off
#define VARIANTS(X) \
  X(BASE, "base") \
  /* the record */ \
  X(COMMIT_BLIND, "commit-blind") X(GIVEUP_BLIND, "giveup-blind") X(RESUME_OWN, "resume-own") \
  /* facts in the file system */ \
  X(HOLD_LOCAL, "hold-local") X(SETTLE_LOCAL, "settle-local") X(FACT_CACHED, "fact-cached") X(MEMORY_FIRST, "memory-first") \
  X(FAILED_FACT, "failed-fact") X(NO_SETTLE_WAIT, "no-settle-wait") \
  /* instances of a client */ \
  X(INSTANCE_LOCAL, "instance-local") X(INSTANCE_ONCE, "instance-once") X(HELLO_ONLY, "hello-only") X(STRICT, "replaced-acked") \
  /* taking */ \
  X(NO_FENCE, "no-fence") X(FENCE_LAST, "fence-last") X(FENCE_SERVED, "fence-served") X(MOUNT_FIRST, "mount-first") \
  X(FAILED_FENCE, "failed-fence") X(FENCE_EXPIRES, "fence-expires") X(FORGET_ENDED, "forget-ended") \
  X(REGISTER_NO_LOOK, "register-no-look") X(REGISTER_FIRST, "register-first") X(REGISTER_EARLY, "register-early") \
  X(POWER_ONLY, "power-only") X(SHARED_CLIENT, "shared-client") \
  /* incarnations and the clean move */ \
  X(SAME_LIFE, "same-life") X(COUNT_UNSAVED, "count-unsaved") X(COUNT_ONE, "count-one") X(FREE_ONE, "free-one") \
  X(FREE_MOUNTED, "free-mounted") \
  /* the end of an ownership, looks */ \
  X(KEEP_MOUNT, "keep-mount") X(END_ONE, "end-one") X(NO_OPEN_LOOK, "no-open-look") X(NO_READER_LOOK, "no-reader-look")
// clang-format on
#define ENUMERATOR(id, name) id,
#define NAME(id, name) name,
enum Variant { VARIANTS(ENUMERATOR) NVARIANT };
static const char* NAMES[] = {VARIANTS(NAME)};
static const int MS = 3, MP = 2, MV = 2, NC = 2, MW = 4, MG = 8, NM = 3, NOBODY = 3, COUNTS = 4;
static int V = BASE, SERVERS = 3, POOLS = 1, VOLUMES = 1, WRITES = 1, TAKES = 1, MOVES = 0, FAULTS = 1, KINDS = 7;
static char E = 'a', MODE = '1';
enum { FREE = 0, OUT = 0, SERVING, TAKING, GIVING }; // of the record: FREE to TAKING; of a server: OUT to GIVING
enum { REGISTER, LOOK, FENCE, MOUNT, MOUNTING, MOUNTED };
enum { SYNC, SAVING, SAVED, UNMOUNTING, UNMOUNTED };
enum { NONE, CLEAN, DIRTY };
enum { DATA = 1, FACTS, MOUNTS, UNMOUNTS };
enum { IDLE, LEFT, OPENING, REPLAYING, RESENDING, READY, ENDED };
enum { QUEUED = 1, EXECUTED };
struct Facts { // of the volumes in a pool
  uint8_t holder[MV], epoch[MV], settled[MV], count[MV], instance;
};
struct Msg {
  uint8_t kind, gen, server, pool, volume, value;
  Facts facts;
};
struct Pool {
  uint8_t gen, owner, state, life, prev; // the record; prev: the generations that may still write, a set
  Facts facts;                           // on the disk
  uint8_t fenced, key[MS], who[MG];      // who: the server of each generation
  uint8_t mounted, granted;              // only for the check: the highest mount; whether the second instance was granted a volume
};
struct Own { // the belief of a server about a pool; mount: the generation of the kernel's mount
  uint8_t state, gen, step, life, prev, clean, mount, changing, count[MV];
  Facts facts;
};
struct Server {
  uint8_t up;
  Own p[MP];
  uint8_t value[MV], page[MV];
};
struct Volume { // of a client
  uint8_t mode, at, handle, epoch, life, logLife, pending, log, covered, request[MS], stage[MS]; // covered: by a FLUSH under way
};
struct Client {
  uint8_t sessions; // with which servers, a set
  Volume v[MV];
};
struct St {
  Pool p[MP];
  uint8_t disk[MV];
  Server s[MS];
  Client c[NC];
  Msg m[NM];
  uint8_t next, epochOf[MW + 1], acked[MV], flushed[MV], second[MV], late; // only for the check
  uint8_t faults, takes, moves;
};
static const int CHANGE_ONLY = 15; // a change of facts for which no client waits
static int poolOf(int v) { return v % POOLS; }

struct Model {
  typedef St State;
  // Server p owns pool p. X holds all volumes; in mode r, X has no hold of the last volume.
  State initial() {
    State s;
    memset(&s, 0, sizeof s);
    s.next = 1;
    for (int i = 0; i < SERVERS; i++) s.s[i].up = 1;
    for (int p = 0; p < POOLS; p++) {
      Pool& l = s.p[p];
      l.gen = l.life = l.mounted = 1, l.owner = l.who[1] = p, l.state = SERVING, l.key[p] = 1;
      Own& n = s.s[p].p[p];
      n.state = SERVING, n.gen = n.life = n.mount = 1;
      l.facts.instance = 1;
    }
    for (int c = 0; c < NC; c++)
      for (int v = 0; v < MV; v++) {
        Volume& a = s.c[c].v[v];
        a.at = NOBODY, a.mode = v < VOLUMES && (c == 0 || MODE != '1') ? IDLE : ENDED;
        if (c > 0 || v >= VOLUMES || (MODE == 'r' && v == VOLUMES - 1)) continue;
        Facts& f = s.p[poolOf(v)].facts;
        a.mode = READY, a.at = poolOf(v), a.handle = a.epoch = 1, a.life = a.logLife = COUNTS;
        f.holder[v] = f.epoch[v] = 1, f.settled[v] = COUNTS;
        s.c[0].sessions |= 1 << a.at;
      }
    for (int p = 0; p < POOLS; p++) s.s[p].p[p].facts = s.p[p].facts;
    return s;
  }
  static int order(const St& s, int w) { return s.epochOf[w] * 8 + w; }
  static int newer(const St& s, int a, int b) { return order(s, a) > order(s, b) ? a : b; }
  static int lifeOf(const Own& n, int v) { return n.life * COUNTS + n.count[v]; }
  static bool isOwner(const St& s, int i, int p) { return s.p[p].gen == s.s[i].p[p].gen && s.p[p].owner == i; }
  static bool refuses(const St& s, int p, int i, int gen) {
    return E == 'a' ? s.p[p].fenced >> gen & 1 : E == 'b' && !s.p[p].key[i];
  }
  const char* check(const State& s) {
    for (int v = 0; v < VOLUMES; v++) {
      if (order(s, s.disk[v]) < order(s, s.flushed[v]))
        return "VIOLATION: what a FLUSH was answered for is not on the disk (lost or reverted)";
      int p = poolOf(v);
      for (int c = 0; c < NC; c++) {
        const Volume& a = s.c[c].v[v];
        if (a.mode != READY || !a.handle) continue;
        if (c == 0 && s.second[v] && (MODE != 'o' || (V != NO_READER_LOOK && !isOwner(s, a.at, p)))) continue;
        const Server& x = s.s[a.at];
        if (x.p[p].state != SERVING) continue;
        if (!x.page[v] && E == 'a' && refuses(s, p, a.at, x.p[p].gen)) continue; // the other engines do not refuse reads
        if (order(s, x.page[v] ? x.value[v] : s.disk[v]) < order(s, s.acked[v]))
          return "VIOLATION: a READ now would return an older value than one that was acknowledged";
      }
    }
    return nullptr;
  }
  bool goal(const State& s) {
    bool any = false;
    for (int i = 0; i < SERVERS; i++)
      if (s.s[i].up) any = true;
    for (int p = 0; p < POOLS; p++)
      if (s.p[p].gen >= MG - 1) any = false; // the generations of the model are used up
    if (!any) return true;
    for (const Client& k : s.c)
      for (const Volume& a : k.v)
        if (a.mode != ENDED && a.mode != IDLE && !(a.mode == READY && a.handle && !a.pending)) return false;
    return true;
  }
  static void sortMessages(St& s) { // the messages are a set
    for (int i = 0; i < NM; i++)
      for (int j = i + 1; j < NM; j++)
        if (memcmp(&s.m[i], &s.m[j], sizeof(Msg)) < 0) std::swap(s.m[i], s.m[j]);
  }
  static int slot(const St& s) {
    for (int q = 0; q < NM; q++)
      if (!s.m[q].kind) return q;
    return -1;
  }
  static bool underWay(const St& s, int i, int p) { // of any generation
    for (const Msg& m : s.m)
      if (m.kind && m.server == i && m.pool == p) return true;
    return false;
  }
  static bool isSynced(const St& s, int i, int v) {
    for (const Msg& m : s.m)
      if (m.kind == DATA && m.server == i && m.volume == v && m.gen == s.s[i].p[poolOf(v)].mount) return false;
    return s.s[i].page[v] != DIRTY;
  }
  static bool allSynced(const St& s, int i, int p) {
    for (int v = p; v < VOLUMES; v += POOLS)
      if (!isSynced(s, i, v)) return false;
    return true;
  }
  static void abortMessages(St& s, int i, int p) {
    for (Msg& m : s.m)
      if (m.kind && m.server == i && m.pool == p) m = Msg{};
  }
  static void leave(Volume& a) {
    int i = a.at;
    if (i < MS && a.stage[i] == EXECUTED) a.request[i] = a.stage[i] = 0;
    a.at = NOBODY, a.handle = a.life = a.covered = 0;
    if (a.mode != ENDED) a.mode = a.epoch ? LEFT : IDLE;
  }
  static void revoke(Volume& a, int i) {
    if (a.stage[i] == QUEUED) a.request[i] = a.stage[i] = 0;
    if (a.at == i) a.handle = 0;
  }
  static void revokeAll(St& s, int i, int v) {
    for (Client& k : s.c) revoke(k.v[v], i);
  }
  static void endSession(St& s, int c, int i, bool serverToo) {
    s.c[c].sessions &= ~(1 << i);
    for (Volume& a : s.c[c].v) {
      if (a.at == i) leave(a);
      if (serverToo) a.request[i] = a.stage[i] = 0;
    }
  }
  static void taken(Volume& a) {
    leave(a);
    a.mode = ENDED, a.pending = a.log = a.logLife = a.epoch = 0;
  }
  static void replaced(St& s, int c) {
    for (Volume& a : s.c[c].v)
      if (a.mode != ENDED) taken(a);
    s.c[c].sessions = 0;
  }
  static void dropPages(St& s, int i, int p) {
    for (int v = p; v < VOLUMES; v += POOLS) s.s[i].value[v] = s.s[i].page[v] = 0;
  }
  // F7: the server ends its ownership of the pool. It revokes all handles, drops its cache and ends its mount without a further write.
  static void demote(St& s, int i, int p) {
    s.s[i].p[p] = Own{};
    for (int v = p; v < VOLUMES; v += POOLS) revokeAll(s, i, v);
    dropPages(s, i, p);
  }
  static void crashProcess(St& s, int i) {
    for (int c = 0; c < NC; c++) endSession(s, c, i, true);
    for (Own& n : s.s[i].p) {
      int mount = n.mount;
      n = Own{}, n.mount = mount;
    }
  }
  static void crashMachine(St& s, int i) {
    crashProcess(s, i);
    s.s[i] = Server{};
  }
  static void send(Volume& a, int w) { a.request[a.at] = w, a.stage[a.at] = QUEUED; }
  static void goOn(Volume& a) { // R2: replays the log, then sends unanswered requests again
    if (a.mode == REPLAYING) {
      a.logLife = a.life, a.mode = RESENDING;
      if (a.pending && a.handle) return send(a, a.pending); // a server answers STALE to a revoked handle
    }
    if (a.mode == RESENDING && !a.pending) a.mode = READY;
  }
  static void grant(St& s, int c, int v, int i) {
    int p = poolOf(v);
    const Own& n = s.s[i].p[p];
    Volume& a = s.c[c].v[v];
    a.handle = 1, a.epoch = n.facts.epoch[v], a.life = lifeOf(n, v);
    a.request[i] = a.stage[i] = 0;
    if (MODE == 'r' && c == 0 && s.p[p].granted)
      g_violation = "VIOLATION: an instance is granted a volume of a pool in which it was replaced";
    if (c == 1 && !s.second[v]) {
      s.second[v] = 1;
      if (MODE == 'r') s.p[p].granted = 1, s.acked[v] = s.s[i].page[v] ? s.s[i].value[v] : s.disk[v]; // the first instance is excused
    }
    if (a.log && a.logLife != a.life) a.mode = REPLAYING, send(a, a.log);
    else a.mode = REPLAYING, goOn(a);
  }

  template <class F> struct Moves {
    const State& o;
    F& give;
    int actor = 0, part = 0; // walk() prefers some actors and kinds of moves
    static const char* sn(int i) {
      static const char* names[] = {"S0", "S1", "S2", "nobody"};
      return names[i];
    }
    static const char* cn(int c) { return c == 0 ? MODE == 'r' ? "X.1" : "X" : MODE == 'r' ? "X.2" : "Y"; }
    static const char* pn(int p) { return p ? "pool 1" : "pool 0"; }
    void emit(State& s, int kind, const std::string& label) {
      sortMessages(s);
      give(s, kind | (actor * 16 + part) << 1, label);
    }
    void run() {
      for (int c = 0; c < NC; c++)
        for (int v = 0; v < VOLUMES; v++) actor = c * MV + v, client(c, v);
      for (int i = 0; i < SERVERS; i++)
        for (int p = 0; p < POOLS; p++) actor = NC * MV + i * MP + p, pool(i, p);
      for (int i = 0; i < SERVERS; i++) actor = NC * MV + MS * MP, part = i, machine(i);
      actor = NC * MV + MS * MP + 1, part = 0, storage();
    }
    void client(int c, int v) {
      const Volume& a = o.c[c].v[v];
      if (a.mode == ENDED) return;
      part = 0;
      if (a.mode == READY && a.handle) {
        if (o.next <= WRITES && !a.pending && !a.request[a.at] && (MODE != 'o' || c == 1)) {
          State s = o;
          int w = s.next++;
          s.epochOf[w] = a.epoch, s.c[c].v[v].pending = w, send(s.c[c].v[v], w);
          if (c == 0 && o.second[v]) s.late |= 1 << w;
          emit(s, NORMAL, LAB("%s: sends W%d of volume %d to %s", cn(c), w, v, sn(a.at)));
        }
        if (a.log && !a.covered) {
          State s = o;
          s.c[c].v[v].covered = a.log;
          emit(s, NORMAL, LAB("%s: sends the FLUSH of volume %d to %s", cn(c), v, sn(a.at)));
        }
      }
      part = 1;
      if (a.at < MS && a.mode >= REPLAYING && a.stage[a.at] == EXECUTED) {
        State s = o;
        Volume& n = s.c[c].v[v];
        int w = a.request[a.at];
        n.request[a.at] = n.stage[a.at] = 0;
        if (a.mode != REPLAYING) {
          n.pending = 0, n.log = w;
          if (c == 1 || !o.second[v]) s.acked[v] = newer(o, o.acked[v], w);
          if ((MODE == '2' || V == STRICT) && (o.late >> w & 1))
            g_violation = "VIOLATION: a write that was issued after the next holder was granted is answered OK to the former holder";
        }
        goOn(n);
        emit(s, NORMAL, LAB("%s: gets the answer to W%d from %s", cn(c), w, sn(a.at)));
      }
      part = 2;
      if (a.at < MS && a.mode >= REPLAYING && !a.handle) {
        State s = o;
        leave(s.c[c].v[v]);
        emit(s, NORMAL, LAB("%s: %s has revoked the handle on volume %d", cn(c), sn(a.at), v));
      }
      for (int j = 0; j < SERVERS && (a.mode == IDLE || a.mode == LEFT); j++)
        if (o.s[j].p[poolOf(v)].state == SERVING) hello(c, v, j);
    }
    void hello(int c, int v, int j) {
      State s = o;
      const char* what = "in its session";
      if (!(o.c[c].sessions >> j & 1)) {
        bool old = MODE == 'r' && c == 0 && (o.c[1].sessions >> j & 1);
        for (int p = 0; p < POOLS; p++)
          if (MODE == 'r' && o.s[j].p[p].state == SERVING && o.s[j].p[p].facts.instance > c + 1) old = true;
        if (old) {
          replaced(s, c);
          emit(s, NORMAL, LAB("%s: HELLO to %s: REPLACED", cn(c), sn(j)));
          return;
        }
        endSession(s, c, j, true); // S9
        if (MODE == 'r' && c == 1) endSession(s, 0, j, true);
        s.c[c].sessions |= 1 << j, what = "in a new session";
      }
      Volume& n = s.c[c].v[v];
      n.at = j, n.mode = OPENING, n.request[j] = n.stage[j] = 0;
      emit(s, NORMAL, LAB("%s: sends OPEN of volume %d to %s %s", cn(c), v, sn(j), what));
    }
    // The moves of server i that concern pool p.
    void pool(int i, int p) {
      const Own& n = o.s[i].p[p];
      if (!o.s[i].up) return;
      for (int v = p; v < VOLUMES; v += POOLS)
        for (int c = 0; c < NC; c++) part = 3, serves(c, v, i);
      part = 4;
      if (n.state && !isOwner(o, i, p)) {
        State s = o;
        demote(s, i, p);
        emit(s, NORMAL, LAB("%s: looks at the record of %s: not the owner, revokes all", sn(i), pn(p)));
      }
      part = 5;
      if (n.state == OUT) takes(i, p);
      part = 6;
      if (n.state == TAKING) takeSteps(i, p);
      part = 7, givesUp(i, p);
      part = 8, kernel(i, p);
    }
    void serves(int c, int v, int i) {
      int p = poolOf(v);
      const Own& n = o.s[i].p[p];
      const Volume& a = o.c[c].v[v];
      if (n.state == SERVING && a.stage[i] == QUEUED) {
        State s = o;
        s.s[i].value[v] = a.request[i], s.s[i].page[v] = DIRTY;
        Volume& x = s.c[c].v[v];
        if (a.at == i) x.stage[i] = EXECUTED;
        else x.request[i] = x.stage[i] = 0;
        emit(s, NORMAL, LAB("%s: executes W%d of %s, volume %d, in its cache", sn(i), a.request[i], cn(c), v));
      }
      if (a.at != i) return;
      if (a.mode == OPENING && n.state != SERVING) {
        State s = o;
        leave(s.c[c].v[v]);
        emit(s, NORMAL, LAB("%s: does not own %s: %s asks elsewhere", sn(i), pn(p), cn(c)));
      }
      if (n.state != SERVING) return;
      if (a.mode == OPENING) opens(c, v, i);
      if (MODE == 'o' && c == 0 && a.mode == READY && a.handle && !o.s[i].page[v] && !refuses(o, p, i, n.gen)) {
        State s = o;
        s.s[i].value[v] = o.disk[v], s.s[i].page[v] = CLEAN;
        emit(s, NORMAL, LAB("%s: a READ of X fills the cache with W%d", sn(i), o.disk[v]));
      }
      if (a.mode == READY && a.handle && a.covered && isSynced(o, i, v)) {
        State s = o;
        Volume& x = s.c[c].v[v];
        s.flushed[v] = newer(o, o.flushed[v], a.covered);
        if (a.log == a.covered) x.log = 0;
        x.covered = 0;
        if (o.late >> a.covered & 1)
          g_violation = "VIOLATION: a FLUSH of the former holder covers a write that was issued after the next holder was granted";
        emit(s, NORMAL, LAB("%s: the FLUSH of %s, volume %d, is through and answered", sn(i), cn(c), v));
      }
      if (MODE == '2' && a.mode == READY && a.handle && n.facts.holder[v] == c + 1 && n.facts.settled[v] != lifeOf(n, v) && !n.changing) {
        Facts f = n.facts;
        f.settled[v] = lifeOf(n, v);
        change(i, p, f, CHANGE_ONLY, LAB("%s: %s is SETTLED on volume %d, writes this fact", sn(i), cn(c), v));
      }
    }
    // F2: a fact is in the file system before an answer that depends on it is sent, and before the memory of the server has the fact.
    void change(int i, int p, const Facts& f, int forWhom, const std::string& label, int revokedVolume = -1) {
      int q = slot(o);
      if (q < 0) return;
      State s = o;
      Own& n = s.s[i].p[p];
      s.m[q] = Msg{FACTS, n.mount, (uint8_t)i, (uint8_t)p, 0, 0, f};
      n.changing = forWhom;
      if (revokedVolume >= 0) revokeAll(s, i, revokedVolume);
      if (V == FACT_CACHED || V == MEMORY_FIRST) n.facts = f;
      if (V == FACT_CACHED && forWhom != CHANGE_ONLY) answerOpen(s, i, p);
      if (V == FACT_CACHED) n.changing = 0;
      emit(s, NORMAL, label);
    }
    static void answerOpen(State& s, int i, int p) {
      int at = s.s[i].p[p].changing - 1, c = at / MV, v = at % MV;
      if (s.c[c].v[v].at == i && s.c[c].v[v].mode == OPENING) grant(s, c, v, i);
    }
    void opens(int c, int v, int i) {
      int p = poolOf(v);
      const Own& n = o.s[i].p[p];
      const Volume& a = o.c[c].v[v];
      State s = o;
      if (V != NO_OPEN_LOOK && !isOwner(o, i, p)) {
        demote(s, i, p);
        emit(s, NORMAL, LAB("%s: looks at the record for the OPEN of %s: not the owner, revokes all", sn(i), cn(c)));
        return;
      }
      if (MODE == 'r' && n.facts.instance > c + 1 && V != HELLO_ONLY) {
        replaced(s, c);
        emit(s, NORMAL, LAB("%s: OPEN of %s: REPLACED in %s", sn(i), cn(c), pn(p)));
        return;
      }
      if (n.changing) return; // the client waits
      int h = n.facts.holder[v];
      if (a.epoch ? h == c + 1 && n.facts.epoch[v] == a.epoch : h == c + 1) {
        grant(s, c, v, i);
        emit(s, NORMAL, LAB("%s: OPEN of %s, volume %d, granted, life %d, its log has life %d", sn(i), cn(c), v, lifeOf(n, v), a.logLife));
        return;
      }
      if (a.epoch) {
        taken(s.c[c].v[v]);
        emit(s, NORMAL, LAB("%s: %s is not the holder of volume %d any more: TAKEN", sn(i), cn(c), v));
        return;
      }
      if (h && (!isSynced(o, i, v) || (MODE == '2' && n.facts.settled[v] != lifeOf(n, v) && V != NO_SETTLE_WAIT))) {
        leave(s.c[c].v[v]);
        emit(s, NORMAL, LAB("%s: OPEN of %s, volume %d: HELD", sn(i), cn(c), v));
        return;
      }
      Facts f = n.facts;
      f.holder[v] = c + 1, f.epoch[v]++, f.settled[v] = lifeOf(n, v);
      bool known = false;
      for (int q = 0; q < POOLS; q++)
        if (q != p && o.s[i].p[q].state == SERVING && o.s[i].p[q].facts.instance > c) known = true;
      if (MODE == 'r' && c + 1 > f.instance && !(V == INSTANCE_ONCE && known)) f.instance = c + 1;
      change(i, p, f, 1 + c * MV + v, LAB("%s: volume %d is synced, writes the hold of %s", sn(i), v, cn(c)), v);
    }
    void takes(int i, int p) {
      const Pool& l = o.p[p];
      const Own& n = o.s[i].p[p];
      if (l.gen >= MG - 1 || (n.mount && V != KEEP_MOUNT)) return;           // F7
      if (E != 'a' && underWay(o, i, p) && V != REGISTER_EARLY) return; // F13
      bool free = l.state == FREE, silent = free || l.owner == i || o.s[l.owner].p[p].state == OUT;
      if (!silent && o.takes >= TAKES) return;
      if (V == REGISTER_FIRST && E == 'b' && l.key[i] != l.gen + 1) {
        State s = o;
        s.p[p].key[i] = l.gen + 1;
        emit(s, silent ? NORMAL : FAULT, LAB("%s: registers its key for generation %d of %s", sn(i), l.gen + 1, pn(p)));
        return;
      }
      State s = o;
      Pool& r = s.p[p];
      Own& x = s.s[i].p[p];
      if (!silent) s.takes++;
      r.prev = free || (V == RESUME_OWN && l.owner == i) ? 0 : V == FENCE_LAST ? 1 << l.gen : l.prev | 1 << l.gen;
      if (V == FENCE_SERVED && l.state == TAKING) r.prev = l.prev;
      r.gen++, r.owner = r.who[r.gen] = i, r.state = TAKING;
      x.state = TAKING, x.gen = r.gen, x.prev = V == NO_FENCE ? 0 : r.prev, x.clean = free;
      x.step = E == 'b' && V != REGISTER_FIRST ? REGISTER : V == MOUNT_FIRST ? MOUNT : FENCE;
      emit(s, silent ? NORMAL : FAULT,
           LAB("%s: record of %s: TAKING, generation %d%s", sn(i), pn(p), r.gen, silent ? "" : ", although its owner is well"));
    }
    void takeSteps(int i, int p) {
      const Own& n = o.s[i].p[p];
      State s = o;
      Own& x = s.s[i].p[p];
      Pool& r = s.p[p];
      int fencing = V == MOUNT_FIRST ? MOUNT : FENCE;
      if (n.step == REGISTER) {
        r.key[i] = n.gen, x.step = V == REGISTER_NO_LOOK ? fencing : LOOK;
        emit(s, NORMAL, LAB("%s: registers the key %d for %s", sn(i), n.gen, pn(p)));
      } else if (n.step == LOOK) {
        if (isOwner(o, i, p)) x.step = fencing;
        else r.key[i] = 0, demote(s, i, p);
        emit(s, NORMAL, LAB("%s: looks at the record of %s: %s", sn(i), pn(p), x.state ? "still taking" : "another one takes"));
      } else if (n.step == FENCE && n.prev) {
        for (int g = 1; g < MG; g++)
          if (n.prev >> g & 1) fences(i, p, g);
      } else if (n.step == FENCE || n.step == MOUNT) {
        if (n.step == FENCE && V == MOUNT_FIRST) {
          x.step = MOUNTED;
          emit(s, NORMAL, LAB("%s: has fenced all", sn(i)));
          return;
        }
        int q = slot(o);
        if (q < 0) return;
        s.m[q] = Msg{MOUNTS, n.gen, (uint8_t)i, (uint8_t)p, 0, 0, Facts{}};
        x.mount = n.gen, x.step = MOUNTING;
        emit(s, NORMAL, LAB("%s: mounts %s", sn(i), pn(p)));
      } else if (n.step == MOUNTED) {
        if (V != COMMIT_BLIND && !isOwner(o, i, p)) demote(s, i, p);
        else {
          bool sameLife = n.clean || V == SAME_LIFE;
          r.gen = n.gen, r.owner = i, r.state = SERVING, r.prev = 0;
          if (!sameLife) r.life = n.gen;
          x.state = SERVING, x.life = r.life, x.step = x.clean = 0;
          for (int v = p; v < VOLUMES; v += POOLS) {
            x.count[v] = n.clean ? n.facts.count[v] : 0;
            if (V == SETTLE_LOCAL) x.facts.settled[v] = lifeOf(x, v);
          }
        }
        emit(s, NORMAL, LAB("%s: CAS to SERVING of %s: %s", sn(i), pn(p), x.state ? strf("life %d", r.life).c_str() : "fails"));
      }
    }
    void fences(int i, int p, int g) {
      State s = o;
      Pool& r = s.p[p];
      Own& x = s.s[i].p[p];
      int w = r.who[g];
      x.prev &= ~(1 << g);
      if (V == FAILED_FENCE && o.faults < FAULTS) {
        State t = s;
        t.faults++;
        emit(t, FAULT, LAB("%s: the fence for generation %d of %s fails, goes on", sn(i), g, pn(p)));
      }
      if (E == 'a') r.fenced |= 1 << g;
      if (V == SHARED_CLIENT)
        for (int q = 0; q < POOLS; q++)
          if (q != p && o.s[w].p[q].gen) s.p[q].fenced |= 1 << o.s[w].p[q].gen;
      for (int k = 0; k < SERVERS && E == 'b'; k++)
        if (r.key[k] == g && k != i) r.key[k] = 0, abortMessages(s, k, p);
      if (E == 'm' && w != i) {
        crashMachine(s, w);
        for (int q = 0; q < POOLS && V != POWER_ONLY; q++) abortMessages(s, w, q);
      }
      emit(s, NORMAL, LAB("%s: the fence for generation %d of %s is confirmed", sn(i), g, pn(p)));
    }
    void givesUp(int i, int p) { // F6
      const Own& n = o.s[i].p[p];
      State s = o;
      Own& x = s.s[i].p[p];
      if (n.state == SERVING && o.moves < MOVES && !n.changing) {
        s.moves++, x.state = GIVING, x.step = SYNC;
        for (int v = p; v < VOLUMES; v += POOLS) revokeAll(s, i, v);
        emit(s, FAULT, LAB("%s: told to give %s up: revokes all handles", sn(i), pn(p)));
      }
      if (n.state != GIVING) return;
      int q = slot(o);
      if (n.step == SYNC && (V == FREE_ONE ? isSynced(o, i, p) : allSynced(o, i, p))) {
        Facts f = n.facts;
        for (int v = p; v < VOLUMES; v += POOLS)
          if (V != COUNT_UNSAVED && (V != COUNT_ONE || v == p)) f.count[v] = n.count[v];
        if (!memcmp(&f, &n.facts, sizeof f)) {
          x.step = SAVED;
          emit(s, NORMAL, LAB("%s: all of %s is synced", sn(i), pn(p)));
        } else if (q >= 0) {
          s.m[q] = Msg{FACTS, n.mount, (uint8_t)i, (uint8_t)p, 0, 0, f};
          x.step = SAVING;
          emit(s, NORMAL, LAB("%s: all of %s is synced, writes the counts of lives", sn(i), pn(p)));
        }
      } else if (n.step == SAVED && q >= 0) {
        s.m[q] = Msg{UNMOUNTS, n.mount, (uint8_t)i, (uint8_t)p, 0, 0, Facts{}};
        x.step = V == FREE_MOUNTED ? UNMOUNTED : UNMOUNTING;
        emit(s, NORMAL, LAB("%s: unmounts %s", sn(i), pn(p)));
      } else if (n.step == UNMOUNTED) {
        bool mine = isOwner(o, i, p) || V == GIVEUP_BLIND;
        if (mine) s.p[p].state = FREE, s.p[p].owner = NOBODY, s.p[p].prev = 0, s.p[p].key[i] = 0;
        demote(s, i, p);
        emit(s, NORMAL, LAB("%s: CAS to FREE of %s: %s", sn(i), pn(p), mine ? "clean" : "fails"));
      }
    }
    // The kernel writes back dirty data, even after the server process has crashed. The kernel ends the mount of a crashed process.
    void kernel(int i, int p) {
      const Own& n = o.s[i].p[p];
      if (!n.mount) return;
      int q = slot(o);
      for (int v = p; v < VOLUMES && q >= 0; v += POOLS) {
        if (o.s[i].page[v] != DIRTY || isSentAlready(i, v)) continue;
        State s = o;
        s.m[q] = Msg{DATA, n.mount, (uint8_t)i, (uint8_t)p, (uint8_t)v, o.s[i].value[v], Facts{}};
        emit(s, NORMAL, LAB("%s: its kernel sends W%d of volume %d", sn(i), o.s[i].value[v], v));
      }
      if (n.state == OUT && allSynced(o, i, p) && !underWay(o, i, p)) {
        State s = o;
        demote(s, i, p);
        emit(s, NORMAL, LAB("%s: ends the mount of %s that its crashed process has left", sn(i), pn(p)));
      }
    }
    bool isSentAlready(int i, int v) const {
      for (const Msg& m : o.m)
        if (m.kind == DATA && m.server == i && m.volume == v && m.gen == o.s[i].p[poolOf(v)].mount) return true;
      return false;
    }
    void machine(int i) {
      const Server& x = o.s[i];
      for (int c = 0; c < NC; c++)
        if ((KINDS & 1) && o.faults < FAULTS && (o.c[c].sessions >> i & 1)) {
          State s = o;
          s.faults++, endSession(s, c, i, false);
          emit(s, FAULT, LAB("%s: loses its session with %s", cn(c), sn(i)));
        }
      if ((KINDS & 2) && x.up && o.faults < FAULTS) {
        State s = o;
        s.faults++, crashProcess(s, i);
        emit(s, FAULT, LAB("%s: the server process crashes and starts again", sn(i)));
      }
      if ((KINDS & 4) && x.up && o.faults < FAULTS) {
        State s = o;
        s.faults++, crashMachine(s, i);
        emit(s, FAULT, LAB("%s: the machine crashes, what it has sent may still be executed", sn(i)));
      }
      if (!x.up) {
        State s = o;
        s.s[i].up = 1;
        for (int p = 0; p < POOLS && E != 'a'; p++) abortMessages(s, i, p);
        emit(s, FAULT, LAB("%s: boots", sn(i)));
      }
      for (int p = 0; p < POOLS && (V == FENCE_EXPIRES || V == FORGET_ENDED); p++)
        for (int g = 1; g < MG; g++) {
          if (!(o.p[p].fenced >> g & 1)) continue;
          int w = o.p[p].who[g];
          if (w != i || (V == FORGET_ENDED && (o.s[w].p[p].mount == g || o.s[w].p[p].gen == g || underWay(o, w, p)))) continue;
          State s = o;
          s.p[p].fenced &= ~(1 << g);
          emit(s, FAULT, LAB("storage: forgets the fence for generation %d of %s", g, pn(p)));
        }
    }
    // The storage executes or refuses the requests that are under way.
    void storage() {
      for (int q = 0; q < NM; q++) {
        const Msg m = o.m[q];
        if (!m.kind) continue;
        int i = m.server, p = m.pool, v = m.volume;
        const Own& n = o.s[i].p[p];
        static const char* KIND[] = {"", "a page", "facts", "the mount", "the unmount"};
        State s = o;
        s.m[q] = Msg{};
        bool mine = n.mount == m.gen;
        if (refuses(o, p, i, m.gen)) {
          if (mine) refused(s, m);
          emit(s, NORMAL, LAB("storage: refuses %s of %s, generation %d of %s", KIND[m.kind], sn(i), m.gen, pn(p)));
          continue;
        }
        if ((KINDS & 8) && mine && n.state && o.faults < FAULTS) fails(s, m);
        Pool& r = s.p[p];
        if (m.gen < r.mounted)
          g_violation = "VIOLATION: a write of an earlier owner executes in a file system that a later one has mounted";
        if (m.kind == MOUNTS && m.gen > r.mounted) r.mounted = m.gen;
        if (m.kind == DATA) {
          s.disk[v] = m.value;
          if (mine && o.s[i].page[v] == DIRTY && o.s[i].value[v] == m.value) s.s[i].page[v] = CLEAN;
        }
        if (m.kind == FACTS) r.facts = m.facts;
        if (mine) executed(s, m);
        emit(s, NORMAL, LAB("storage: executes %s of %s, generation %d of %s", KIND[m.kind], sn(i), m.gen, pn(p)));
      }
    }
    // V1: the kernel loses the page of a failed write-back, and the volume begins another life within the generation. A failed write of
    // facts may still be on the disk.
    void fails(const State& without, const Msg& m) {
      int i = m.server, p = m.pool, v = m.volume;
      State s = without;
      s.faults++;
      if (m.kind == DATA && o.s[i].page[v] == DIRTY && o.s[i].p[p].count[v] < COUNTS - 1) {
        s.s[i].page[v] = s.s[i].value[v] = 0, s.s[i].p[p].count[v]++;
        revokeAll(s, i, v);
        emit(s, FAULT, LAB("storage: the write-back of W%d of %s, volume %d, fails: another life, revokes", m.value, sn(i), v));
      }
      for (int done = 0; done < 2 && m.kind == FACTS; done++) {
        State t = s;
        if (done) t.p[p].facts = m.facts;
        if (V == FAILED_FACT || V == MEMORY_FIRST) answerError(t, i, p);
        else demote(t, i, p);
        emit(t, FAULT, LAB("storage: writing facts of %s fails%s", sn(i), done ? ", but they are on the disk" : ""));
      }
    }
    static void answerError(State& s, int i, int p) {
      Own& x = s.s[i].p[p];
      if (x.changing && x.changing != CHANGE_ONLY) {
        Volume& a = s.c[(x.changing - 1) / MV].v[(x.changing - 1) % MV];
        if (a.at == i && a.mode == OPENING) leave(a);
      }
      x.changing = 0;
      if (x.state == GIVING) x.step = SYNC;
    }
    void refused(State& s, const Msg& m) {
      int i = m.server, p = m.pool, v = m.volume;
      Own& x = s.s[i].p[p];
      if (isOwner(o, i, p) && x.gen == m.gen)
        g_violation = "VIOLATION: the storage refuses a write of the owner, which the record calls the owner: I/O fails for ever";
      if (V == END_ONE && m.kind == DATA) s.s[i].page[v] = s.s[i].value[v] = 0, revokeAll(s, i, v);
      else if (V == MEMORY_FIRST && m.kind == FACTS && x.state == SERVING) answerError(s, i, p);
      else demote(s, i, p);
    }
    static void executed(State& s, const Msg& m) {
      int i = m.server, p = m.pool;
      Own& x = s.s[i].p[p];
      if (m.kind == FACTS && x.state == SERVING && V != FACT_CACHED) {
        x.facts = m.facts;
        if (x.changing && x.changing != CHANGE_ONLY) answerOpen(s, i, p);
        x.changing = 0;
      }
      if (m.kind == FACTS && x.state == GIVING && x.step == SAVING) x.facts = m.facts, x.step = SAVED;
      if (m.kind == UNMOUNTS) {
        if (x.state == GIVING && x.step == UNMOUNTING) x.step = UNMOUNTED;
        x.mount = 0, dropPages(s, i, p);
      }
      if (m.kind != MOUNTS || x.state != TAKING || x.gen != m.gen || x.step != MOUNTING) return;
      x.step = V == MOUNT_FIRST ? FENCE : MOUNTED, x.facts = s.p[p].facts;
      for (int v = p; v < VOLUMES && V == HOLD_LOCAL; v += POOLS) x.facts.holder[v] = 0;
      if (V == INSTANCE_LOCAL) x.facts.instance = 0;
    }
  };
  template <class F> void successors(const State& o, F give) { Moves<F>{o, give}.run(); }
};
static int usage() {
  puts("usage: pool VARIANT engine(a|b|m) mode(1|2|o|r) servers pools volumes writes takes moves faults kinds [OPTION...]\n"
       "  takes  how often a server takes a pool whose owner is well\n"
       "  moves  how often an owner is told to give a pool up\n"
       "  kinds  the sum of: 1 a client loses a session, 2 a server process crashes, 4 a machine crashes, 8 a write-back fails\n"
       "  -l     also look for livelocks\n"
       "  -n N   stop after N states (default: 12 million)\n"
       "  -f N   keep fingerprints alone, stop after N states or the seconds of -t\n"
       "  -w S   random walks from seed S for the seconds of -t (default: 60)\n"
       "The exit code is 0 if the variant holds, 1 if it breaks, 2 if the search is not finished.");
  return 9;
}
int main(int c, char** a) {
  uint64_t limit = 12000000, hashed = 0, seed = 0;
  double seconds = 60;
  bool live = false;
  int k = 0;
  int* bounds[] = {&SERVERS, &POOLS, &VOLUMES, &WRITES, &TAKES, &MOVES, &FAULTS, &KINDS};
  for (int i = 1; i < c; i++) {
    std::string w = a[i];
    auto number = [&]() { return ++i < c ? strtoull(a[i], 0, 10) : 0; };
    if (w == "-l") live = true;
    else if (w == "-n") limit = number();
    else if (w == "-f") hashed = number();
    else if (w == "-w") seed = number();
    else if (w == "-t") seconds = number();
    else if (k++ == 0) {
      V = -1;
      for (int j = 0; j < NVARIANT; j++)
        if (w == NAMES[j]) V = j;
    } else if (k == 2) E = w[0];
    else if (k == 3) MODE = w[0];
    else if (k <= 11) *bounds[k - 4] = atoi(a[i]);
  }
  if (k != 11 || V < 0 || !strchr("abm", E) || !strchr("12or", MODE) || WRITES > MW) return usage();
  if (SERVERS < 2 || SERVERS > MS || POOLS < 1 || POOLS > MP || VOLUMES < POOLS || VOLUMES > MV) return usage();
  Model m;
  if (seed) return walk(m, seed, seconds, 500);
  return hashed ? exploreHashed(m, hashed, seconds) : explore(m, limit, live);
}
