// A farm: the servers S0 and S1 reach one shared storage, and each of them can own the only volume. The clients X and Y use the volume
// through its owner. The rules are F1 to F16 of README.md. The record of the volume is in the shared storage and changes only by
// compare-and-swap on its generation. A server believes that it owns the volume until a look at the record, or a refusal of the storage,
// tells it otherwise. The model has no clock: the moves of a slow, paused or cut-off server may come at any later time. A write-back is a
// message that the storage executes at any later time, also after a crash of its sender. Clients follow docs/PROTOCOL.md (one session at a
// time, O1, R1, R2, H3), and a server may execute a request much later than its client has given the request up. The number of a write is
// its content. Some values exist only for the check.
//
// Engines: a = a fence for each generation; b = a fence for each machine; c = no fence, the data file is cloned under a new name, and late
// writes change the old file; d = no fence, so only clean moves. Modes: 1 = X alone; 2 = Y takes the volume over from X; s = the volume is
// shared, Y writes with FUA, X reads.
#include "../search.hpp"
// clang-format off
#define VARIANTS(X) \
  X(BASE, "base") \
  /* the record */ \
  X(NO_CAS, "no-cas") X(BLIND_GIVEUP, "blind-giveup") X(BLIND_COMMIT, "blind-commit") X(HOLD_BLIND, "hold-blind") \
  X(HOLD_LOCAL, "hold-local") X(SETTLE_LOCAL, "settle-local") X(RESUME_OWN, "resume-own") \
  /* taking */ \
  X(NO_FENCE, "no-fence") X(FENCE_LATE, "fence-late") X(FENCE_LAST, "fence-last") X(FENCE_FIRST, "fence-first") \
  X(UNLINK_FIRST, "unlink-first") X(SAME_NAME, "same-name") X(SAME_KEY, "same-key") X(REGISTER_EARLY, "register-early") \
  /* incarnations */ \
  X(SAME_LIFE, "same-life") X(LIFE_BOOT, "life-boot") X(LIFE_COUNT, "life-count") X(LIFE_UNSAVED, "life-unsaved") \
  /* the clean move */ \
  X(FREE_DIRTY, "free-dirty") X(GIVING_EXECUTES, "giving-executes") X(COOP_NEW_LIFE, "coop-new-life") \
  /* the end of an ownership */ \
  X(KEEP_DIRTY, "keep-dirty") X(KEEP_CLEAN, "keep-clean") X(REFUSED_GOES_ON, "refused-goes-on") \
  /* looks */ \
  X(NO_OPEN_LOOK, "no-open-look") X(NO_FLUSH_LOOK, "no-flush-look") X(LOOK_BEFORE_SYNC, "look-before-sync") \
  X(NO_ANSWER_LOOK, "no-answer-look") X(LOOK_THEN_READ, "look-then-read") X(LOOK_ANY_GEN, "look-any-gen") \
  X(READS_FENCED, "reads-fenced") X(ALWAYS_LOOK, "always-look") X(FORCE_LOOK, "force-look") \
  /* the client, reasons, FLUSH, holds */ \
  X(LATE_ANSWERS, "late-answers") X(CLIENT_REASON, "client-reason") X(OLD_REASON, "old-reason") X(FLUSH_CACHE, "flush-cache") \
  X(NO_SETTLE_WAIT, "no-settle-wait") \
  /* a record without compare-and-swap */ \
  X(PUBLISH, "publish") X(PUB_LATE, "pub-late") X(PUB_NO_LOOK, "pub-no-look")
// clang-format on
#define ENUMERATOR(id, name) id,
#define NAME(id, name) name,
enum Variant { VARIANTS(ENUMERATOR) NVARIANT };
static const char* NAMES[] = {VARIANTS(NAME)};
static const int NS = 2, NC = 2, MB = 2, MW = 4, MG = 8, NM = 3, NOBODY = 2, BOOT_LIFE = 64;
static int V = BASE, B = 1, WRITES = 2, CRASHES = 1, TAKES = 1, MOVES = 0, FLAPS = 1, HANGS = 0;
static char E = 'a', MODE = '1';
static bool HARM = false;
enum { FREE = 0, OUT = 0, SERVING, TAKING, GIVING }; // of the record: FREE to TAKING; of a server: OUT to GIVING
enum { LEFT, ASKING, REPLAYING, RESENDING, READY, ENDED, IDLE };
enum { NONE, CLEAN, DIRTY };
enum { QUEUED = 1, EXECUTED, CONFIRMED };                              // a write at a server
enum { FLUSH_WAITS = 1, FLUSH_SENT, SYNCED, FLUSH_CONFIRMED, LOOKED }; // LOOKED: only look-before-sync
enum { READ_SENT = 1, VALUED, READ_CONFIRMED, READ_LOOKED };           // READ_LOOKED: only look-then-read
enum { FENCE_STEP, COMMIT_STEP, CLONE_STEP, READ_STEP, READ_LATE_STEP };
struct Msg {
  uint8_t write, gen, server, file, block;
};
struct Record {
  uint8_t gen, owner, state, life, file, prev, holder, epoch, settled; // prev: the generations that may still write, a set
};
struct Server {
  // want: the generation that it is asked to take; granting: publish wrote the hold of Y and has not looked; seenGen: for no-cas
  uint8_t up, state, gen, life, step, want, boots, source, prev, seenGen, holder, settled, granting;
  uint8_t cacheGen, cacheFile, value[MB], page[MB];
};
struct Client {
  uint8_t at, mode, handle, life, epoch, logLife, pending[MB], log[MB], replay[MB];
  uint8_t request[NS][MB], stage[NS][MB]; // at each server, also at one that it has left
  uint8_t flush, covered[MB], read, readBlock, readValue, readFloor;
};
struct St {
  uint8_t disk[MG][MB], deleted; // the data files: engines a, b and d have only file 1
  Record r;
  uint8_t holdGen, fenced, pendingFence, key[NS]; // holdGen: publish reads the hold from the state file of this generation
  Msg m[NM];
  Server s[NS];
  Client c[NC];
  uint8_t paused, cut, clientCut;
  uint8_t next, epochOf[MW + 1], acked[MB], seen[MB], flushed[MB], afterGrant; // only for the check
  uint8_t crashes, takes, moves, flaps, hangs, causes;
};
static bool shared() { return MODE == 's'; }
static bool publishes() { return V == PUBLISH || V == PUB_LATE || V == PUB_NO_LOOK; }
static bool alwaysLooks() { return V == ALWAYS_LOOK || V == FORCE_LOOK; }
static bool confirmsAnswers() { return shared() || alwaysLooks(); }
static bool confirmsReads() { return alwaysLooks() || (shared() && V != NO_ANSWER_LOOK && V != READS_FENCED && V != LOOK_THEN_READ); }
static bool confirmsFlushes() { return E == 'c' && V != NO_FLUSH_LOOK && V != LOOK_BEFORE_SYNC; }

struct Model {
  typedef St State;
  State initial() { // S0 owns the volume in generation 1, X holds it
    State s;
    memset(&s, 0, sizeof s);
    s.r = {1, 0, SERVING, 1, 1, 0, 1, 1, 1};
    s.holdGen = s.next = s.key[0] = 1;
    for (Server& v : s.s) v.up = 1;
    Server& v = s.s[0];
    v.state = SERVING, v.gen = v.life = v.cacheGen = v.cacheFile = 1;
    v.holder = V == HOLD_LOCAL, v.settled = V == SETTLE_LOCAL || V == HOLD_BLIND;
    for (int c = 0; c < NC; c++) {
      Client& k = s.c[c];
      bool holds = c == 0 || shared();
      k.at = holds ? 0 : NOBODY, k.mode = holds ? READY : MODE == '1' ? ENDED : IDLE;
      if (holds) k.handle = k.logLife = k.life = k.epoch = 1;
    }
    if (V == LIFE_BOOT) {
      s.r.life = v.life = s.r.settled = BOOT_LIFE;
      for (Client& k : s.c) k.logLife = k.life = BOOT_LIFE;
    }
    return s;
  }
  // Values are in order by hold and then by number, because the writes of one client to a block are one after the other (O1).
  static int order(const St& s, int w) { return s.epochOf[w] * 8 + w; }
  static int newer(const St& s, int a, int b) { return order(s, a) > order(s, b) ? a : b; }
  static uint8_t& disk(St& s, int file, int b) { return s.disk[E == 'c' ? file : 1][b]; }
  static uint8_t disk(const St& s, int file, int b) { return s.disk[E == 'c' ? file : 1][b]; }
  const char* check(const State& s) {
    for (int b = 0; b < B; b++)
      if (order(s, disk(s, s.r.file, b)) < order(s, s.flushed[b]))
        return "VIOLATION: what a FLUSH was answered for is not in the volume's storage (lost or reverted)";
    if (s.deleted >> s.r.file & 1) return "VIOLATION: the record names a file that is deleted";
    if (!HARM && s.r.gen - 1 > s.causes) return "VIOLATION: the volume moves although nothing has failed since the last move (ping-pong)";
    return nullptr;
  }
  static bool isCut(const St& s, int c, int i) { return s.clientCut >> (c * NS + i) & 1; }
  static bool runs(const St& s, int i) { return s.s[i].up && !(s.paused >> i & 1); }
  static bool sees(const St& s, int i) { return runs(s, i) && !(s.cut >> i & 1); } // i reaches the storage
  static bool usable(const St& s, int c, int i) { return sees(s, i) && !isCut(s, c, i); }
  static bool usableAnywhere(const St& s, int c) { return usable(s, c, 0) || usable(s, c, 1); }
  static bool isIdle(const Client& k) {
    for (int b = 0; b < B; b++)
      if (k.pending[b]) return false;
    return true;
  }
  bool goal(const State& s) {
    if (!usableAnywhere(s, 0)) return true; // no promise applies
    for (int c = 0; c < NC; c++) {
      const Client& k = s.c[c];
      if (k.mode == ENDED || k.mode == IDLE) continue;
      // F10: a shared volume stays at its server, and a client that does not reach its owner waits
      if (shared() && s.r.owner < NS && isCut(s, c, s.r.owner) && sees(s, s.r.owner)) continue;
      if (usableAnywhere(s, c) && !(k.mode == READY && !k.flush && !k.read && isIdle(k))) return false;
    }
    return true;
  }
  static void sortMessages(St& s) { // the messages are a set
    for (int i = 0; i < NM; i++)
      for (int j = i + 1; j < NM; j++)
        if (memcmp(&s.m[i], &s.m[j], sizeof(Msg)) < 0) std::swap(s.m[i], s.m[j]);
  }
  static bool inFlight(const St& s, int i, int b) { // b < 0: any block
    for (const Msg& m : s.m)
      if (m.write && m.server == i && m.gen == s.s[i].cacheGen && (b < 0 || m.block == b)) return true;
    return false;
  }
  static bool anyInFlight(const St& s, int i) { // of any generation
    for (const Msg& m : s.m)
      if (m.write && m.server == i) return true;
    return false;
  }
  static void abortMessages(St& s, int i) {
    for (Msg& m : s.m)
      if (m.write && m.server == i) m = Msg{};
  }
  static bool allClean(const St& s, int i) {
    for (int b = 0; b < B; b++)
      if (s.s[i].page[b] == DIRTY) return false;
    return !inFlight(s, i, -1);
  }
  static void drop(Client& k, int i, int b) { k.request[i][b] = k.stage[i][b] = 0; }
  static void revokeHandles(St& s, int i) {
    for (Client& k : s.c)
      if (k.at == i) k.handle = 0;
  }
  static void dropQueued(Client& k, int i) {
    for (int b = 0; b < B; b++)
      if (k.stage[i][b] == QUEUED) drop(k, i, b);
  }
  // F7: the server no longer believes that it owns the volume. It revokes all handles and drops everything that it has cached.
  static void demote(St& s, int i) {
    Server& v = s.s[i];
    v.state = OUT, v.gen = v.step = v.source = v.prev = v.life = v.granting = 0;
    revokeHandles(s, i);
    for (Client& k : s.c)
      for (int b = 0; b < B; b++) // a look at a later generation does not show what was executed under the old one
        if (k.stage[i][b] == QUEUED || (k.stage[i][b] == EXECUTED && confirmsAnswers() && V != LOOK_ANY_GEN)) drop(k, i, b);
    for (int b = 0; b < B; b++) {
      if (V == KEEP_DIRTY && v.page[b] == DIRTY) continue;
      if (V == KEEP_CLEAN && v.page[b]) v.page[b] = CLEAN;
      else v.value[b] = v.page[b] = NONE;
    }
    if (V != KEEP_DIRTY) v.cacheGen = v.cacheFile = 0;
  }
  // F9: the client gives its session up. Its requests may stay at the server, and their answers are not used.
  static void leave(Client& k) {
    int i = k.at;
    k.at = NOBODY, k.handle = k.life = 0;
    if (k.mode != ENDED && k.mode != IDLE) k.mode = LEFT;
    for (int b = 0; b < B; b++) {
      if (i < NS && V != LATE_ANSWERS && k.stage[i][b] >= EXECUTED) drop(k, i, b);
      k.covered[b] = k.replay[b] = 0;
    }
    if (k.flush) k.flush = FLUSH_WAITS;
    k.read = k.readBlock = k.readValue = k.readFloor = 0;
  }
  static void revoked(Client& k, int i) { // STALE: the client sends OPEN again in the same session
    if (k.at != i || k.mode < REPLAYING || k.mode > READY) return;
    leave(k);
    k.at = i, k.mode = ASKING;
    for (int b = 0; b < B; b++) drop(k, i, b);
  }
  static void taken(Client& k) {
    leave(k);
    k.mode = ENDED, k.flush = k.logLife = 0;
    for (int b = 0; b < B; b++) k.pending[b] = k.log[b] = 0;
  }
  static void goOn(Client& k) { // the steps that need nothing from outside (R2)
    if (k.mode == REPLAYING) {
      bool over = true;
      for (int b = 0; b < B; b++)
        if (k.replay[b] == 1 || k.replay[b] == 2) over = false;
      if (over) {
        for (int b = 0; b < B; b++) k.replay[b] = 0;
        k.logLife = k.life, k.mode = RESENDING;
      }
    }
    if (k.mode == RESENDING && isIdle(k)) k.mode = READY;
  }
  static void grant(St& s, int c, int i) {
    Client& k = s.c[c];
    k.handle = 1, k.life = s.s[i].life, k.epoch = s.r.epoch;
    bool log = false;
    for (int b = 0; b < B; b++) {
      drop(k, i, b);
      if (k.log[b]) log = true;
    }
    if (k.logLife != k.life && log) {
      k.mode = REPLAYING;
      for (int b = 0; b < B; b++) k.replay[b] = k.log[b] ? 1 : 0;
    } else k.logLife = k.life, k.mode = RESENDING;
    goOn(k);
  }
  static bool isOwner(const St& s, int i) { return s.r.gen == s.s[i].gen && s.r.owner == i && s.r.state == SERVING; }
  static uint8_t holder(const St& s, int i) { return V == HOLD_LOCAL ? s.s[i].holder : s.r.holder; }
  static uint8_t settledLife(const St& s, int i) {
    const Server& v = s.s[i];
    if (V == SETTLE_LOCAL) return v.settled ? v.settled : v.life;
    return V == HOLD_BLIND ? v.settled : s.r.settled;
  }
  static uint8_t newLife(const St& s, int i) {
    if (V == LIFE_BOOT) return BOOT_LIFE + i * 8 + s.s[i].boots;
    return V == LIFE_COUNT ? s.r.life + 1 : s.r.gen;
  }
  static void own(St& s, int i) { // the server serves under the generation and life of the record
    Server& v = s.s[i];
    v.state = SERVING, v.gen = v.cacheGen = s.r.gen, v.life = s.r.life, v.cacheFile = s.r.file, v.want = 0;
  }
  static void commit(St& s, int i) {
    Server& v = s.s[i];
    s.r.gen = v.gen, s.r.owner = i, s.r.state = SERVING, s.r.prev = 0;
    if (V != SAME_LIFE) s.r.life = newLife(s, i);
    if (E == 'c' && V != NO_FENCE) s.r.file = v.gen, s.deleted |= 1 << v.source;
    own(s, i);
    v.step = v.source = v.prev = 0;
  }

  template <class F> struct Moves {
    const State& o;
    F& give;
    int actor = 0, part = 0; // walk() prefers some actors and kinds of moves
    static const char* sn(int i) { return i ? "S1" : "S0"; }
    static const char* cn(int c) { return c ? "Y" : "X"; }
    void emit(State& s, int kind, const std::string& label) {
      sortMessages(s);
      give(s, kind | (actor * 16 + part) << 1, label);
    }
    void run() {
      for (int c = 0; c < NC; c++) actor = c, client(c);
      for (int i = 0; i < NS; i++) actor = NC + i, server(i);
      actor = NC + NS, part = 0, storage();
    }
    void client(int c) {
      const Client& k = o.c[c];
      part = 0;
      if (k.mode == READY && k.handle) application(c);
      for (int b = 0; b < B && k.handle; b++) {
        if (k.mode == REPLAYING && k.replay[b] == 1) {
          State s = o;
          s.c[c].replay[b] = 2, send(s.c[c], k.log[b], b);
          emit(s, NORMAL, LAB("%s: replays W%d to %s", cn(c), k.log[b], sn(k.at)));
        }
        if (k.mode == RESENDING && k.pending[b] && !k.request[k.at][b]) {
          State s = o;
          send(s.c[c], k.pending[b], b);
          emit(s, NORMAL, LAB("%s: sends W%d again, to %s", cn(c), k.pending[b], sn(k.at)));
        }
      }
      part = 1, answers(c);
      part = 2, sessions(c);
    }
    static void send(Client& k, int w, int b) { k.request[k.at][b] = w, k.stage[k.at][b] = QUEUED; }
    void application(int c) {
      const Client& k = o.c[c];
      bool writes = !shared() || c == 1, log = false;
      for (int b = 0; b < B; b++) {
        if (k.log[b]) log = true;
        if (!writes || o.next > WRITES || k.pending[b] || k.request[k.at][b]) continue;
        State s = o;
        int w = s.next++;
        s.epochOf[w] = k.epoch, s.c[c].pending[b] = w, send(s.c[c], w, b);
        emit(s, NORMAL, LAB("%s: sends W%d of block %d to %s", cn(c), w, b, sn(k.at)));
      }
      if (writes && !shared() && !k.flush && log) {
        State s = o;
        s.c[c].flush = FLUSH_WAITS;
        emit(s, NORMAL, LAB("%s: has a FLUSH to send", cn(c)));
      }
      if (k.flush == FLUSH_WAITS) {
        State s = o;
        s.c[c].flush = FLUSH_SENT;
        for (int b = 0; b < B; b++) s.c[c].covered[b] = k.log[b];
        emit(s, NORMAL, LAB("%s: sends the FLUSH to %s", cn(c), sn(k.at)));
      }
      for (int b = 0; b < B && !k.read; b++) {
        // A reader of a shared volume may see an unacknowledged write, which a crash may undo. Seen values therefore do not count.
        int floor = shared() ? o.acked[b] : newer(o, o.acked[b], o.seen[b]);
        if (!floor && !k.pending[b] && o.next == 1) continue;
        State s = o;
        Client& n = s.c[c];
        n.read = READ_SENT, n.readBlock = b, n.readFloor = floor;
        emit(s, NORMAL, LAB("%s: sends a READ of block %d to %s", cn(c), b, sn(k.at)));
      }
    }
    void answers(int c) {
      const Client& k = o.c[c];
      for (int j = 0; j < NS; j++)
        for (int b = 0; b < B; b++) {
          if (k.stage[j][b] < EXECUTED || (j != k.at && V != LATE_ANSWERS)) continue;
          if (k.stage[j][b] == EXECUTED && confirmsAnswers()) continue;
          if (j == k.at && k.mode < REPLAYING) continue;
          State s = o;
          Client& n = s.c[c];
          int w = k.request[j][b];
          bool isNew = k.pending[b] == w;
          drop(n, j, b);
          if (isNew) {
            n.pending[b] = 0;
            if (shared()) s.flushed[b] = newer(s, s.flushed[b], w);
            else n.log[b] = w;
            if (V != FORCE_LOOK || n.epoch == s.r.epoch) s.acked[b] = newer(s, s.acked[b], w);
          } else if (k.mode == REPLAYING && k.replay[b] == 2 && k.log[b] == w) n.replay[b] = 3;
          goOn(n);
          if (isNew && !shared() && n.epoch < s.r.epoch && (s.afterGrant >> w & 1))
            g_violation = "VIOLATION: a write that was issued after another client was granted the volume is answered OK to the old holder";
          emit(s, NORMAL, LAB("%s: gets the answer to W%d from %s", cn(c), w, sn(j)));
        }
      if (k.flush == (confirmsFlushes() ? FLUSH_CONFIRMED : SYNCED) || (k.flush == FLUSH_CONFIRMED && alwaysLooks())) {
        State s = o;
        Client& n = s.c[c];
        n.flush = 0;
        for (int b = 0; b < B; b++) {
          s.flushed[b] = newer(s, s.flushed[b], n.covered[b]);
          if (n.log[b] == n.covered[b]) n.log[b] = 0;
          n.covered[b] = 0;
        }
        emit(s, NORMAL, LAB("%s: the FLUSH is answered OK, its log is trimmed", cn(c)));
      }
      if (k.read == (confirmsReads() ? READ_CONFIRMED : VALUED)) {
        State s = o;
        Client& n = s.c[c];
        int b = n.readBlock, w = n.readValue;
        if (order(s, w) < order(s, n.readFloor))
          g_violation = "VIOLATION: a READ returns an older value than one that was acknowledged or read before it was sent";
        if (V != FORCE_LOOK || n.epoch == s.r.epoch) s.seen[b] = newer(s, s.seen[b], w);
        n.read = n.readBlock = n.readValue = n.readFloor = 0;
        emit(s, NORMAL, LAB("%s: gets the answer to its READ from %s: W%d", cn(c), sn(k.at), w));
      }
    }
    void sessions(int c) {
      const Client& k = o.c[c];
      if (k.at < NS) {
        bool revoked = k.mode >= REPLAYING && k.mode <= READY && !k.handle;
        if (!usable(o, c, k.at) || revoked) {
          State s = o;
          leave(s.c[c]);
          emit(s, NORMAL, LAB("%s: leaves %s, which is silent or has revoked the handle", cn(c), sn(k.at)));
        } else if (o.flaps < FLAPS) {
          State s = o;
          s.flaps++, leave(s.c[c]);
          emit(s, FAULT, LAB("%s: loses its session with %s", cn(c), sn(k.at)));
        }
      }
      for (int j = 0; j < NS; j++) {
        if (k.mode != LEFT && (k.mode != IDLE || MODE != '2')) continue;
        if (!runs(o, j) || isCut(o, c, j)) continue;
        State s = o;
        Client& n = s.c[c];
        n.at = j, n.mode = ASKING;
        for (int b = 0; b < B; b++) drop(n, j, b); // S9: no request of the earlier session with this server runs
        emit(s, NORMAL, LAB("%s: new session with %s, sends OPEN", cn(c), sn(j)));
      }
    }
    // Looks at the record for the given purpose. The server then makes its move, or ends its ownership.
    template <class G> void look(int i, const char* purpose, G then) {
      State s = o;
      if (isOwner(s, i)) then(s);
      else demote(s, i);
      emit(s, NORMAL, LAB("%s: looks at the record %s: %s", sn(i), purpose, s.s[i].state ? "the owner" : "NOT the owner, revokes all"));
    }
    void server(int i) {
      const Server& v = o.s[i];
      bool serves = runs(o, i) && (v.state == SERVING || (V == GIVING_EXECUTES && v.state == GIVING));
      part = 0, executes(i, serves);
      for (int c = 0; c < NC; c++)
        if (o.c[c].at == i && serves && o.c[c].mode == READY && o.c[c].handle) reads(c, i), flushes(c, i);
      part = 1;
      if (sees(o, i) && v.state && !(o.r.gen == v.gen && o.r.owner == i)) {
        State s = o;
        demote(s, i);
        emit(s, NORMAL, LAB("%s: looks at the record from time to time: not the owner any more, revokes all", sn(i)));
      }
      part = 2;
      for (int c = 0; c < NC; c++)
        if (o.c[c].at == i && o.c[c].mode == ASKING && runs(o, i)) opens(c, i);
      part = 3;
      if (sees(o, i) && v.want && !v.state) takes(i);
      part = 4;
      if (sees(o, i) && v.state == TAKING) takeSteps(i);
      if (runs(o, i) && o.pendingFence && V == FENCE_LATE) {
        State s = o;
        s.fenced |= s.pendingFence;
        for (int x = 0; x < NS && E == 'b'; x++)
          if (s.key[x] && (s.pendingFence >> s.key[x] & 1)) s.key[x] = 0, abortMessages(s, x);
        s.pendingFence = 0;
        emit(s, NORMAL, LAB("storage: the fence becomes effective"));
      }
      part = 5, givesUp(i);
      part = 6, pages(i);
      part = 7, faults(i);
    }
    // The server executes writes into its page cache while it believes that it owns the volume.
    void executes(int i, bool serves) {
      const Server& v = o.s[i];
      for (int c = 0; c < NC; c++)
        for (int b = 0; b < B; b++) {
          const Client& k = o.c[c];
          int w = k.request[i][b];
          if (serves && k.stage[i][b] == QUEUED) {
            State s = o;
            s.s[i].value[b] = w, s.s[i].page[b] = DIRTY;
            if (k.at == i || V == LATE_ANSWERS) s.c[c].stage[i][b] = EXECUTED;
            else drop(s.c[c], i, b);
            emit(s, NORMAL,
                 LAB("%s: executes W%d (block %d, in its cache)%s", sn(i), w, b, k.at == i ? "" : " of a session that was left"));
          }
          if (serves && k.stage[i][b] == EXECUTED && confirmsAnswers() && sees(o, i) && (!shared() || v.page[b] != DIRTY)) {
            State s = o;
            if (V == NO_ANSWER_LOOK || V == READS_FENCED || isOwner(s, i)) s.c[c].stage[i][b] = CONFIRMED;
            else demote(s, i);
            emit(s, NORMAL, LAB("%s: W%d is stored, looks at the record: %s", sn(i), w, s.s[i].state ? "the owner" : "NOT the owner"));
          }
        }
    }
    void reads(int c, int i) {
      const Client& k = o.c[c];
      const Server& v = o.s[i];
      if (V == LOOK_THEN_READ && k.read == READ_SENT && sees(o, i))
        look(i, "before it reads", [&](State& s) { s.c[c].read = READ_LOOKED; });
      if (k.read == (V == LOOK_THEN_READ ? READ_LOOKED : READ_SENT)) {
        int b = k.readBlock;
        State s = o;
        Client& n = s.c[c];
        if (v.page[b] != NONE && V != READS_FENCED) {
          n.readValue = v.value[b], n.read = VALUED;
          emit(s, NORMAL, LAB("%s: reads block %d from its cache: W%d", sn(i), b, n.readValue));
        } else if (sees(o, i) && E == 'a' && (o.fenced >> v.gen & 1)) { // only engine a refuses the reads of a fenced server
          demote(s, i);
          emit(s, NORMAL, LAB("%s: its read is refused by the fence: revokes all", sn(i)));
        } else if (sees(o, i)) {
          n.readValue = disk(o, v.cacheFile, b), n.read = VALUED;
          if (V != READS_FENCED) s.s[i].page[b] = CLEAN, s.s[i].value[b] = n.readValue;
          emit(s, NORMAL, LAB("%s: reads block %d from the storage: W%d", sn(i), b, n.readValue));
        }
      }
      if (k.read == VALUED && sees(o, i) && confirmsReads())
        look(i, "before it answers the READ", [&](State& s) { s.c[c].read = READ_CONFIRMED; });
    }
    void flushes(int c, int i) {
      const Client& k = o.c[c];
      const Server& v = o.s[i];
      if (!sees(o, i)) return;
      if (V == LOOK_BEFORE_SYNC && k.flush == FLUSH_SENT) look(i, "before it syncs", [&](State& s) { s.c[c].flush = LOOKED; });
      if (k.flush == (V == LOOK_BEFORE_SYNC ? LOOKED : FLUSH_SENT) && (allClean(o, i) || V == FLUSH_CACHE)) {
        State s = o;
        s.c[c].flush = SYNCED;
        emit(s, NORMAL, LAB("%s: the sync for the FLUSH is through", sn(i)));
      }
      if (k.flush == SYNCED && (confirmsFlushes() || alwaysLooks()))
        look(i, "before it answers the FLUSH", [&](State& s) { s.c[c].flush = FLUSH_CONFIRMED; });
      if (shared() || c + 1 != holder(o, i) || settledLife(o, i) == v.life) return;
      State s = o;
      Server& n = s.s[i];
      if (V == SETTLE_LOCAL) n.settled = n.life;
      else if (isOwner(s, i)) {
        s.r.settled = n.life;
        if (V == HOLD_BLIND) n.settled = n.life;
      } else demote(s, i);
      emit(s, NORMAL, LAB("%s: %s is SETTLED, into the record: %s", sn(i), cn(c), n.state ? "done" : "NOT the owner"));
    }
    void opens(int c, int i) {
      const Client& k = o.c[c];
      const Server& v = o.s[i];
      bool takesOver = c == 1 && MODE == '2' && !k.epoch;
      if (v.state == SERVING && (sees(o, i) || V == NO_OPEN_LOOK)) {
        bool looks = V != NO_OPEN_LOOK && !((V == HOLD_BLIND || publishes()) && takesOver);
        State s = o;
        if (looks && !isOwner(o, i)) {
          demote(s, i);
          emit(s, NORMAL, LAB("%s: looks at the record for the OPEN of %s: not the owner, revokes all", sn(i), cn(c)));
        } else if (takesOver && publishes()) published(i);
        else if (takesOver) takeOver(i);
        else if (!shared() && holder(o, i) != c + 1) {
          taken(s.c[c]);
          emit(s, NORMAL, LAB("%s: %s is not the holder any more: TAKEN", sn(i), cn(c)));
        } else {
          grant(s, c, i);
          emit(s, NORMAL,
               LAB("%s: OPEN of %s granted, life %d, its log has life %d%s", sn(i), cn(c), v.life, k.logLife,
                   s.c[c].mode == REPLAYING ? ": it replays" : ""));
        }
      } else if (sees(o, i) && !v.state && !v.want) asked(c, i, takesOver);
      else if (!sees(o, i) || (v.state == SERVING && takesOver)) {
        State s = o;
        asksAgain(s.c[c], takesOver);
        emit(s, NORMAL, LAB("%s: cannot answer the OPEN of %s now, which will ask again", sn(i), cn(c)));
      }
    }
    static void asksAgain(Client& k, bool takesOver) {
      if (takesOver) k.mode = IDLE, k.at = NOBODY;
      else leave(k);
    }
    void allAfter(State& s) {
      for (int w = o.next; w <= MW; w++) s.afterGrant |= 1 << w;
    }
    // F12: no request of X runs, everything is synced (H2), X has nothing to replay (H3), and the record names Y before Y is granted the
    // volume.
    void takeOver(int i) {
      const Server& v = o.s[i];
      bool free = !holder(o, i), settled = settledLife(o, i) == v.life || V == NO_SETTLE_WAIT || V == FORCE_LOOK;
      if (!free && (!settled || !allClean(o, i))) return;
      State s = o;
      Server& n = s.s[i];
      dropQueued(s.c[0], i);
      if (!free) revoked(s.c[0], i);
      for (int b = 0; b < B && V == FORCE_LOOK; b++) s.acked[b] = s.seen[b] = disk(s, s.r.file, b); // X may lose unflushed writes
      if (V == HOLD_LOCAL) n.holder = 2;
      if (V == SETTLE_LOCAL || V == HOLD_BLIND) n.settled = n.life;
      s.r.holder = 2, s.r.epoch++, s.r.settled = n.life;
      allAfter(s), grant(s, 1, i);
      emit(s, NORMAL,
           LAB("%s: %s, hold into the record, Y granted (epoch %d)", sn(i), free ? "knows of no holder" : "X revoked, synced", s.r.epoch));
    }
    // F16: within a generation only its owner writes its state file. The owner writes the file and then looks for a later generation; the
    // taker makes its generation and then reads the file.
    void published(int i) {
      const Server& v = o.s[i];
      State s = o;
      if (holder(o, i) != 2 && !v.granting) {
        if (settledLife(o, i) != v.life || !allClean(o, i)) return;
        s.s[i].granting = 1;
        dropQueued(s.c[0], i), revoked(s.c[0], i);
        bool read = s.holdGen == v.gen;
        if (read) s.r.holder = 2, s.r.epoch++, s.r.settled = v.life;
        emit(s, NORMAL, LAB("%s: X revoked, synced; writes the hold of Y into its state file%s", sn(i), read ? "" : ", too late"));
        return;
      }
      if (V == PUB_NO_LOOK && o.r.holder != 2)
        g_violation = "VIOLATION: a server that is not the owner any more grants Y the volume, and X still holds it at the other server";
      if (isOwner(s, i) || (V == PUB_NO_LOOK && v.granting)) s.s[i].granting = 0, allAfter(s), grant(s, 1, i);
      else demote(s, i);
      emit(s, NORMAL, LAB("%s: looks for a later generation: %s", sn(i), s.s[i].state ? "none, Y granted" : "there is one, revokes all"));
    }
    // A client sends OPEN to a server that does not own the volume.
    void asked(int c, int i, bool takesOver) {
      int x = o.r.owner;
      State s = o;
      if (o.r.state == FREE) {
        s.s[i].want = o.r.gen;
        emit(s, NORMAL, LAB("%s: asked by %s, the volume is free", sn(i), cn(c)));
        return;
      }
      bool ownCut = (!shared() || V == CLIENT_REASON) && !(c == 1 && MODE == '2') && isCut(o, c, x); // F10
      if (E == 'd' && x != i) {
        asksAgain(s.c[c], takesOver);
        emit(s, NORMAL, LAB("%s: is not the owner and has no fence: %s tries elsewhere", sn(i), cn(c)));
      } else if (x == i || !sees(o, x) || o.s[x].state == OUT || ownCut) {
        s.s[i].want = o.r.gen;
        emit(s, NORMAL, LAB("%s: asked by %s to take the volume from %s", sn(i), cn(c), sn(x)));
      } else {
        if (o.takes < TAKES) {
          State t = o;
          t.takes++, t.causes++, t.s[i].want = o.r.gen;
          emit(t, FAULT, LAB("%s: asked by %s to take the volume from %s, which is well", sn(i), cn(c), sn(x)));
        }
        if (isCut(o, c, x)) return;
        s.c[c].at = x;
        for (int b = 0; b < B; b++) drop(s.c[c], x, b);
        emit(s, NORMAL, LAB("%s: MOVED, %s asks %s", sn(i), cn(c), sn(x)));
      }
    }
    void takes(int i) {
      const Server& v = o.s[i];
      int x = 1 - i;
      State s = o;
      Server& n = s.s[i];
      if (v.want != o.r.gen && V != OLD_REASON && V != NO_CAS) {
        n.want = n.seenGen = 0;
        emit(s, NORMAL, LAB("%s: the reason to take was about an earlier generation: void", sn(i)));
      } else if (o.r.state == FREE) {
        if (E == 'b' && anyInFlight(o, i) && V != REGISTER_EARLY) return; // F13
        s.r.gen++, s.holdGen = s.key[i] = s.r.gen, s.r.owner = i, s.r.state = SERVING;
        if (V == COOP_NEW_LIFE || V == LIFE_BOOT) s.r.life = newLife(s, i);
        own(s, i);
        emit(s, NORMAL, LAB("%s: takes the free volume by CAS: generation %d, life stays %d", sn(i), s.r.gen, s.r.life));
      } else if ((E == 'd' && o.r.owner != i) || (E == 'b' && anyInFlight(o, i)) || o.r.gen >= MG - 1) {
        return;
      } else if (V == RESUME_OWN && o.r.owner == i) {
        s.r.gen++, s.r.state = SERVING, s.r.life = s.key[i] = s.r.gen;
        own(s, i);
        emit(s, NORMAL, LAB("%s: has booted, is the owner by the record, goes on without a fence: life %d", sn(i), s.r.life));
      } else if (V == NO_CAS && !v.seenGen) {
        n.seenGen = o.r.gen;
        emit(s, NORMAL, LAB("%s: reads the record: generation %d", sn(i), n.seenGen));
      } else if (V == FENCE_FIRST && !v.seenGen) {
        n.seenGen = o.r.gen, n.source = o.r.file;
        if (E == 'a') s.fenced |= 1 << o.r.gen;
        if (E == 'b') {
          s.key[i] = o.r.gen + 1;
          if (s.key[x]) s.key[x] = 0, abortMessages(s, x);
        }
        for (int b = 0; b < B && E == 'c'; b++) s.disk[o.r.gen + 1][b] = s.disk[o.r.file][b];
        emit(s, NORMAL, LAB("%s: fences (clones) first", sn(i)));
      } else if (V == FENCE_FIRST) {
        n.seenGen = 0;
        if (o.r.gen == v.seenGen) n.gen = ++s.r.gen, commit(s, i);
        emit(s, NORMAL, LAB("%s: then changes the record: %s", sn(i), n.state ? "serves" : "lost the race"));
      } else {
        int old = V == NO_CAS ? v.seenGen : o.r.gen;
        s.r.prev = V == FENCE_LAST ? 1 << old : s.r.prev | 1 << old;
        n.prev = V == FENCE_LAST && E == 'b' ? 1 << old | (o.r.owner == i ? 0 : 128) : s.r.prev;
        n.gen = s.r.gen = old + 1, s.r.owner = i, s.r.state = TAKING, n.seenGen = 0;
        n.state = TAKING, n.step = publishes() && V != PUB_LATE ? READ_STEP : FENCE_STEP, n.source = o.r.file;
        emit(s, NORMAL, LAB("%s: record: TAKING by %s, generation %d, by CAS", sn(i), sn(i), s.r.gen));
      }
    }
    void takeSteps(int i) {
      const Server& v = o.s[i];
      State s = o;
      Server& n = s.s[i];
      if (v.step == READ_STEP || v.step == READ_LATE_STEP) {
        n.step = v.step == READ_STEP ? FENCE_STEP : COMMIT_STEP;
        if (o.r.gen == v.gen) s.holdGen = v.gen;
        emit(s, NORMAL, LAB("%s: reads the state file of the generation before (holder %s)", sn(i), cn(o.r.holder - 1)));
      } else if (v.step == FENCE_STEP) {
        n.step = COMMIT_STEP;
        const char* what = fence(s, i);
        if (V == PUB_LATE && n.step == COMMIT_STEP) n.step = READ_LATE_STEP;
        emit(s, NORMAL, LAB("%s: %s", sn(i), what));
      } else if (v.step == CLONE_STEP) {
        n.step = COMMIT_STEP;
        if (o.deleted >> v.source & 1) demote(s, i);
        else s.disk[v.gen][B - 1] = s.disk[v.source][B - 1];
        emit(s, NORMAL, LAB("%s: clones the second block", sn(i)));
      } else {
        if (V == NO_CAS || V == BLIND_COMMIT || (o.r.gen == v.gen && o.r.owner == i && o.r.state == TAKING)) commit(s, i);
        else demote(s, i);
        emit(s, NORMAL,
             LAB("%s: CAS to SERVING, generation %d, life %d: %s", sn(i), s.r.gen, s.r.life, n.state ? "it serves" : "fails, it gives up"));
      }
    }
    static const char* fence(State& s, int i) {
      Server& n = s.s[i];
      int x = 1 - i;
      if (E == 'b' || V == NO_FENCE || V == FENCE_LATE) s.key[i] = n.gen;
      if (V == NO_FENCE) return "does not fence";
      if (V == FENCE_LATE) {
        s.pendingFence |= n.prev;
        return "asks for the fence and does not wait for it";
      }
      if (E == 'a') {
        s.fenced |= n.prev;
        return "the fence is confirmed for all generations that may still write";
      }
      if (E == 'b') {
        bool older = s.key[x] && (s.key[x] < n.gen || V == SAME_KEY);
        if (older && !(V == FENCE_LAST && !(n.prev & 128))) s.key[x] = 0, abortMessages(s, x);
        return "registers its key, PREEMPT AND ABORT of older keys";
      }
      if (E != 'c') return "has nothing to fence with";
      if (s.deleted >> n.source & 1) {
        demote(s, i);
        return "finds its source deleted: gives up";
      }
      for (int b = 0; b < (B == 2 ? 1 : B); b++) s.disk[n.gen][b] = s.disk[n.source][b];
      if (B == 2) n.step = CLONE_STEP;
      if (V == UNLINK_FIRST) s.deleted |= 1 << n.source;
      return V == UNLINK_FIRST ? "clones the file and deletes the old one" : "clones the file of the record to a new name and syncs it";
    }
    void givesUp(int i) { // F6
      const Server& v = o.s[i];
      if (runs(o, i) && v.state == SERVING && o.moves < MOVES) {
        State s = o;
        s.moves++, s.causes++, s.s[i].state = GIVING;
        if (V != GIVING_EXECUTES) {
          revokeHandles(s, i);
          for (Client& k : s.c) dropQueued(k, i);
        }
        emit(s, FAULT, LAB("%s: told to give the volume up: revokes all handles", sn(i)));
      }
      if (!sees(o, i) || v.state != GIVING || !(allClean(o, i) || V == FREE_DIRTY)) return;
      if (V == GIVING_EXECUTES && o.r.state == FREE) return;
      State s = o;
      if (V == BLIND_GIVEUP || (o.r.gen == v.gen && o.r.owner == i)) {
        s.r.state = FREE, s.r.owner = NOBODY, s.r.prev = 0;
        if (V != LIFE_UNSAVED) s.r.life = v.life;
        if (E == 'b' && V != FREE_DIRTY) s.key[i] = 0;
        if (V != GIVING_EXECUTES) demote(s, i);
      } else demote(s, i);
      emit(s, NORMAL,
           LAB("%s: all is synced, gives the volume up by CAS: %s", sn(i), s.r.state == FREE ? "record FREE, clean" : "it had lost it"));
    }
    void pages(int i) {
      const Server& v = o.s[i];
      for (int b = 0; b < B; b++) {
        if (!sees(o, i) || v.page[b] != DIRTY || inFlight(o, i, b)) continue;
        int slot = -1;
        for (int q = 0; q < NM; q++)
          if (!o.m[q].write) slot = q;
        if (slot < 0) continue;
        State s = o;
        s.m[slot] = Msg{v.value[b], v.cacheGen, (uint8_t)i, v.cacheFile, (uint8_t)b};
        emit(s, NORMAL, LAB("%s: its kernel sends W%d (block %d) to the storage", sn(i), v.value[b], b));
      }
      for (int b = 0; b < B; b++) {
        if (!v.up || v.page[b] != CLEAN || v.state != SERVING || inFlight(o, i, b)) continue;
        State s = o;
        s.s[i].page[b] = s.s[i].value[b] = NONE;
        emit(s, NORMAL, LAB("%s: its kernel drops the clean page of block %d", sn(i), b));
      }
      if (V == SAME_NAME && v.state == SERVING && v.cacheFile != o.r.file && sees(o, i)) {
        State s = o;
        s.s[i].cacheFile = o.r.file;
        emit(s, NORMAL, LAB("%s: a new process opens the data file by its name, which is the new file", sn(i)));
      }
    }
    void faults(int i) {
      const Server& v = o.s[i];
      if (v.up && o.crashes < CRASHES) {
        State s = o;
        s.crashes++, s.causes++, demote(s, i), s.paused &= ~(1 << i);
        Server& n = s.s[i];
        n.up = n.want = n.seenGen = n.cacheGen = n.cacheFile = 0;
        for (int b = 0; b < B; b++) {
          n.page[b] = n.value[b] = NONE;
          for (Client& k : s.c) drop(k, i, b);
        }
        if (E == 'd') abortMessages(s, i);
        emit(s, FAULT, LAB("%s: the machine crashes, what it had sent to the storage may still be executed", sn(i)));
      }
      if (!v.up) {
        State s = o;
        s.s[i].up = 1;
        if (V == LIFE_BOOT) s.s[i].boots++;
        if (E == 'b') abortMessages(s, i);
        emit(s, E == 'd' ? NORMAL : FAULT, LAB("%s: boots", sn(i)));
      }
      auto hang = [&](uint8_t St::* set, int bit, const std::string& label, const std::string& end) {
        State s = o;
        if (!(o.*set >> bit & 1) && o.hangs < HANGS && v.up) {
          s.hangs++, s.causes++, s.*set |= 1 << bit;
          emit(s, FAULT, label);
        } else if (o.*set >> bit & 1) {
          s.*set &= ~(1 << bit);
          emit(s, FAULT, end);
        }
      };
      hang(&St::paused, i, LAB("%s: is paused", sn(i)), LAB("%s: goes on", sn(i)));
      hang(&St::cut, i, LAB("%s: is cut off from the storage", sn(i)), LAB("%s: reaches the storage again", sn(i)));
      for (int c = 0; c < (shared() ? NC : 1); c++)
        hang(&St::clientCut, c * NS + i, LAB("%s: is cut off from %s", sn(i), cn(c)), LAB("%s: reaches %s again", sn(i), cn(c)));
    }
    // The storage executes or refuses the requests that are under way.
    void storage() {
      for (int q = 0; q < NM; q++) {
        const Msg m = o.m[q];
        if (!m.write) continue;
        int i = m.server, b = m.block;
        const Server& v = o.s[i];
        bool mine = v.up && v.cacheGen == m.gen && v.page[b] == DIRTY;
        State s = o;
        Server& n = s.s[i];
        s.m[q] = Msg{};
        if (E == 'a' ? o.fenced >> m.gen & 1 : E == 'b' && !o.key[i]) {
          if (mine && (o.paused >> i & 1)) continue;
          if (mine && V == REFUSED_GOES_ON) n.page[b] = n.value[b] = NONE;
          else if (mine && (V != KEEP_DIRTY || (v.state && v.gen == m.gen))) demote(s, i);
          emit(s, NORMAL,
               LAB("storage: refuses W%d of %s, generation %d%s", m.write, sn(i), m.gen,
                   mine && !n.state ? ": it revokes all and drops its cache" : ""));
          continue;
        }
        disk(s, m.file, b) = m.write;
        if (mine && v.value[b] == m.write) n.page[b] = CLEAN;
        if (mine && o.crashes < CRASHES && (v.state == SERVING || v.state == GIVING)) failedWriteBack(q);
        if (!HARM && o.r.state == SERVING && m.gen < o.r.gen && (E != 'c' || m.file == o.r.file))
          g_violation = "VIOLATION: a write of an earlier owner executes after the next owner began to serve";
        emit(s, NORMAL,
             LAB("storage: executes W%d of %s, generation %d%s", m.write, sn(i), m.gen,
                 E == 'c' && m.file != o.r.file ? ", in an old file" : ""));
      }
    }
    // V1: the kernel loses the page. The server begins another life within its generation, and does not save this life before it is used.
    void failedWriteBack(int q) {
      const Msg m = o.m[q];
      State s = o;
      Server& n = s.s[m.server];
      s.m[q] = Msg{}, s.crashes++;
      n.page[m.block] = n.value[m.block] = NONE;
      n.life += V == LIFE_COUNT ? 1 : 16;
      for (Client& k : s.c) dropQueued(k, m.server), revoked(k, m.server);
      emit(s, FAULT, LAB("storage: the write-back of W%d of %s fails: it begins life %d, revokes all", m.write, sn(m.server), n.life));
    }
  };
  template <class F> void successors(const State& o, F give) { Moves<F>{o, give}.run(); }
};
static int usage() {
  puts("usage: farm VARIANT engine(a|b|c|d) mode(1|2|s) writes crashes takes moves flaps [OPTION...]\n"
       "  takes  how often a server is asked to take the volume without a reason\n"
       "  moves  how often the owner is told to give the volume up\n"
       "  flaps  how often a client loses its session without a reason\n"
       "  -b N   blocks (1 or 2)\n"
       "  -h N   how often a server is paused, cut off from the storage or cut off from a client\n"
       "  -x     only what a client sees: late writes of an earlier owner and moves without a cause are no violations\n"
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
  int* bounds[] = {&WRITES, &CRASHES, &TAKES, &MOVES, &FLAPS};
  for (int i = 1; i < c; i++) {
    std::string w = a[i];
    auto number = [&]() { return ++i < c ? strtoull(a[i], 0, 10) : 0; };
    if (w == "-l") live = true;
    else if (w == "-x") HARM = true;
    else if (w == "-b") B = number();
    else if (w == "-h") HANGS = number();
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
    else if (k <= 8) *bounds[k - 4] = atoi(a[i]);
  }
  if (k != 8 || V < 0 || !strchr("abcd", E) || !strchr("12s", MODE) || WRITES > MW || B < 1 || B > MB) return usage();
  Model m;
  if (seed) return walk(m, seed, seconds, 500);
  return hashed ? exploreHashed(m, hashed, seconds) : explore(m, limit, live);
}
