// Searches the states of a model, which gives State (bytes without padding), initial(), successors(), check() and goal(). There are three
// searches: explore() keeps every state and also finds livelocks; exploreHashed() keeps 64-bit fingerprints and can therefore search 20
// times as many states in the same memory; walk() takes random walks if the states are too many for both. The first two searches are
// breadth first, so their traces are the shortest ones. Invariant: a state that is no goal and has no NORMAL successor is reported, because
// faults have stopped and the model cannot continue.
#pragma once
#include <chrono>
#include <cstdarg>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <string>
#include <vector>

// The kind of a move. A model may add 2 * CLASS (below CLASSES): walk() prefers some classes of moves to others.
enum { NORMAL = 0, FAULT = 1, CLASSES = 256 };
enum { HOLDS = 0, BREAKS = 1, UNFINISHED = 2 };
static bool g_label = false;              // labels are only made when a trace is printed
static const char* g_violation = nullptr; // a model sets it while it computes a successor
static const char* const DEADLOCK = "DEADLOCK: nothing can go on, and not everything is finished";
#define LAB(...) (g_label ? strf(__VA_ARGS__) : std::string())
static std::string strf(const char* f, ...) __attribute__((format(printf, 1, 2)));
static std::string strf(const char* f, ...) {
  char b[320];
  va_list a;
  va_start(a, f);
  vsnprintf(b, sizeof b, f, a);
  va_end(a);
  return b;
}
static double now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

template <class State> uint64_t fingerprint(const State& s) {
  const uint8_t* p = reinterpret_cast<const uint8_t*>(&s);
  uint64_t h = 1469598103934665603ull;
  size_t n = sizeof(State);
  for (; n >= 8; p += 8, n -= 8) {
    uint64_t v;
    memcpy(&v, p, 8);
    h = (h ^ v) * 0x9E3779B97F4A7C15ull;
    h ^= h >> 29;
  }
  while (n--) h = (h ^ *p++) * 0x100000001b3ull;
  h ^= h >> 32;
  h *= 0xD6E8FEB86659FD93ull;
  h ^= h >> 32;
  return h ? h : 1;
}

// Prints the labels of a path, from the ordinals of its moves among the successors of each state.
template <class M> void printPath(M& m, const std::vector<uint32_t>& moves, const std::string& why) {
  typename M::State s = m.initial();
  g_label = true;
  int step = 0;
  for (uint32_t move : moves) {
    uint32_t at = 0;
    std::string label = "?";
    typename M::State next = s;
    m.successors(s, [&](const typename M::State& n, int kind, const std::string& l) {
      if (at++ == move) label = (kind & FAULT ? "[fault] " : "") + l, next = n;
    });
    g_violation = nullptr;
    printf("    %3d. %s\n", ++step, label.c_str());
    s = next;
  }
  g_label = false;
  printf("     => %s\n", why.c_str());
}

// Breadth first with 64-bit fingerprints: 14 bytes a state, and the states of two levels. If two states have the same fingerprint, one of
// them is not searched. With n states, the expected number of such states is n * n / 2^65; for 400 million states, it is 0.004.
template <class M> int exploreHashed(M& m, uint64_t limit, double seconds) {
  typedef typename M::State State;
  double start = now();
  uint64_t cells = 1 << 20;
  while (cells * 8 < limit * 10) cells *= 2;
  std::vector<uint64_t> table(cells, 0);
  std::vector<uint32_t> parent;
  std::vector<uint16_t> ordinal;
  std::deque<State> level, next; // vectors would double
  uint64_t first = 0, edges = 0, count = 0, depth = 0;
  std::string why;
  auto add = [&](const State& s) {
    uint64_t f = fingerprint(s), mask = table.size() - 1;
    for (uint64_t i = f & mask;; i = (i + 1) & mask) {
      if (table[i] == f) return false;
      if (table[i]) continue;
      table[i] = f;
      break;
    }
    count++;
    return true;
  };
  auto path = [&](uint64_t index, int last) {
    std::vector<uint32_t> moves;
    if (last >= 0) moves.push_back(last);
    for (; index; index = parent[index]) moves.push_back(ordinal[index]);
    return std::vector<uint32_t>(moves.rbegin(), moves.rend());
  };
  parent.reserve(limit + 4096), ordinal.reserve(limit + 4096);
  State s0 = m.initial();
  add(s0), parent.push_back(0), ordinal.push_back(0), level.push_back(s0);
  while (!level.empty()) {
    next.clear();
    for (size_t i = 0; i < level.size(); i++) {
      int normal = 0, at = 0, bad = -1;
      m.successors(level[i], [&](const State& n, int kind, const std::string&) {
        int mine = at++;
        edges++;
        if (!(kind & FAULT)) normal++;
        if (bad >= 0) return;
        const char* v = g_violation;
        g_violation = nullptr;
        if (!v && add(n)) {
          parent.push_back(first + i), ordinal.push_back(mine), next.push_back(n);
          v = m.check(n);
        }
        if (v) why = v, bad = mine;
      });
      if (bad < 0 && !normal && !m.goal(level[i])) why = DEADLOCK;
      if (!why.empty()) {
        printf("  %llu states, depth %llu, %.1f s: %s\n", (unsigned long long)count, (unsigned long long)depth, now() - start, why.c_str());
        printPath(m, path(first + i, bad), why);
        return BREAKS;
      }
      if (count > limit || ((i & 1023) == 0 && now() - start > seconds)) {
        printf("  %llu states, depth %llu, %.1f s: nothing found, search UNFINISHED\n", (unsigned long long)count,
               (unsigned long long)depth, now() - start);
        return UNFINISHED;
      }
    }
    first += level.size();
    level.swap(next);
    depth++;
  }
  printf("  %llu states, %llu transitions, depth %llu, %.1f s: holds\n", (unsigned long long)count, (unsigned long long)edges,
         (unsigned long long)depth, now() - start);
  return HOLDS;
}

// Random walks from the initial state, at most `depth` moves each. Each walk has its own share of faults, and its own weight for each class
// of moves. A violation often needs a slow client, or a server that receives nothing for a long time, and equal chances rarely lead to
// either.
template <class M> int walk(M& m, uint64_t seed, double seconds, int depth) {
  typedef typename M::State State;
  double start = now();
  uint64_t x = seed * 0x9E3779B97F4A7C15ull + 1, steps = 0, walks = 0;
  auto random = [&]() { return x ^= x << 13, x ^= x >> 7, x ^= x << 17, (uint32_t)(x >> 32); };
  static const int SHARES[] = {4, 10, 30, 80};
  std::vector<State> found[2];
  std::vector<uint32_t> at[2], weight[2], moves, weights(CLASSES);
  while (now() - start < seconds) {
    State s = m.initial();
    moves.clear();
    walks++;
    uint32_t share = SHARES[random() % 4], uneven = random() % 4;
    for (uint32_t& x : weights) x = uneven == 0 ? 16 : random() % 4 < uneven ? 1 : 16 << random() % 4;
    for (int d = 0; d < depth; d++) {
      for (int k = 0; k < 2; k++) found[k].clear(), at[k].clear(), weight[k].clear();
      uint32_t n = 0;
      std::string why;
      m.successors(s, [&](const State& t, int kind, const std::string&) {
        if (g_violation && why.empty()) why = g_violation, at[0].assign(1, n);
        g_violation = nullptr;
        if (why.empty()) found[kind & 1].push_back(t), at[kind & 1].push_back(n), weight[kind & 1].push_back(weights[kind >> 1]);
        n++;
      });
      int kind = found[FAULT].size() && (found[NORMAL].empty() || random() % 256 < share) ? FAULT : NORMAL;
      if (why.empty() && found[NORMAL].empty() && !m.goal(s)) why = DEADLOCK;
      else if (!why.empty()) moves.push_back(at[0][0]);
      else if (found[kind].empty()) break;
      else {
        uint32_t sum = 0, pick = 0;
        for (uint32_t w : weight[kind]) sum += w;
        for (sum = random() % sum; sum >= weight[kind][pick]; pick++) sum -= weight[kind][pick];
        s = found[kind][pick];
        moves.push_back(at[kind][pick]);
        steps++;
        if (const char* v = m.check(s)) why = v;
      }
      if (why.empty()) continue;
      printf("  %llu steps, %llu walks, seed %llu, %.1f s: %s\n", (unsigned long long)steps, (unsigned long long)walks,
             (unsigned long long)seed, now() - start, why.c_str());
      printPath(m, moves, why);
      return BREAKS;
    }
  }
  printf("  %llu steps, %llu walks, seed %llu, %.1f s: nothing found\n", (unsigned long long)steps, (unsigned long long)walks,
         (unsigned long long)seed, now() - start);
  return UNFINISHED;
}

// Keeps every state. If `live` is true, explore() also reports a state from which no goal can be reached without a further fault.
template <class State> struct Table {
  std::vector<State> states;
  std::vector<uint32_t> parent, cells;
  uint64_t mask;
  Table() : cells(1u << 20, 0), mask((1u << 20) - 1) {}
  uint32_t find(const State& s) const {
    for (uint64_t i = fingerprint(s) & mask;; i = (i + 1) & mask) {
      if (!cells[i]) return 0;
      if (!memcmp(&states[cells[i] - 1], &s, sizeof s)) return cells[i];
    }
  }
  bool add(const State& s, uint32_t from) {
    if (find(s)) return false;
    states.push_back(s), parent.push_back(from);
    place(states.size() - 1);
    if (states.size() * 10 > cells.size() * 6) grow();
    return true;
  }
  void place(uint32_t k) {
    uint64_t i = fingerprint(states[k]) & mask;
    while (cells[i]) i = (i + 1) & mask;
    cells[i] = k + 1;
  }
  void grow() {
    cells.assign(cells.size() * 2, 0), mask = cells.size() - 1;
    for (uint32_t k = 0; k < states.size(); k++) place(k);
  }
};

// The states from which a goal can be reached by NORMAL moves.
template <class M> std::vector<uint8_t> reachesGoal(M& m, const Table<typename M::State>& t) {
  typedef typename M::State State;
  size_t n = t.states.size();
  std::vector<uint32_t> end(n + 1, 0), source, queue;
  for (int pass = 0; pass < 2; pass++) {
    if (pass == 1) {
      uint32_t sum = 0;
      for (size_t k = 0; k <= n; k++) {
        uint32_t c = end[k];
        end[k] = sum, sum += c;
      }
      source.resize(sum);
    }
    for (uint32_t i = 0; i < n; i++) {
      State s = t.states[i];
      m.successors(s, [&](const State& x, int kind, const std::string&) {
        uint32_t j = kind & FAULT ? 0 : t.find(x);
        if (!j) return;
        if (pass == 0) end[j - 1]++;
        else source[end[j - 1]++] = i;
      });
      g_violation = nullptr;
    }
  }
  std::vector<uint8_t> ok(n, 0);
  for (uint32_t i = 0; i < n; i++)
    if (m.goal(t.states[i])) ok[i] = 1, queue.push_back(i);
  for (size_t k = 0; k < queue.size(); k++) {
    uint32_t j = queue[k];
    for (uint32_t e = j ? end[j - 1] : 0; e < end[j]; e++)
      if (!ok[source[e]]) ok[source[e]] = 1, queue.push_back(source[e]);
  }
  return ok;
}

template <class M> int explore(M& m, uint64_t limit, bool live) {
  typedef typename M::State State;
  double start = now();
  Table<State> t;
  t.add(m.initial(), 0);
  std::string why;
  uint32_t bad = 0;
  std::vector<State> path;
  for (uint32_t i = 0; i < t.states.size() && !bad; i++) {
    State s = t.states[i];
    int normal = 0;
    m.successors(s, [&](const State& n, int kind, const std::string&) {
      if (!(kind & FAULT)) normal++;
      const char* v = g_violation;
      g_violation = nullptr;
      if (bad) return;
      if (!v && t.add(n, i + 1)) v = m.check(n);
      if (v) why = v, bad = i + 1, path.push_back(n);
    });
    if (!bad && !normal && !m.goal(s)) why = DEADLOCK, bad = i + 1;
    if (t.states.size() > limit) {
      printf("  %zu states, %.1f s: nothing found, search UNFINISHED\n", t.states.size(), now() - start);
      return UNFINISHED;
    }
  }
  if (!bad && live) {
    std::vector<uint8_t> ok = reachesGoal(m, t);
    for (uint32_t i = 0; i < ok.size() && !bad; i++)
      if (!ok[i]) bad = i + 1, why = "LIVELOCK: no goal can be reached without a further fault";
  }
  printf("  %zu states, %.1f s: %s\n", t.states.size(), now() - start, bad ? why.c_str() : "holds");
  if (!bad) return HOLDS;
  for (uint32_t k = bad; k; k = t.parent[k - 1]) path.push_back(t.states[k - 1]);
  std::vector<uint32_t> moves;
  for (size_t k = path.size() - 1; k > 0; k--) {
    uint32_t at = 0, found = 0;
    bool is = false;
    m.successors(path[k], [&](const State& n, int, const std::string&) {
      if (!is && !memcmp(&n, &path[k - 1], sizeof n)) found = at, is = true;
      at++;
    });
    g_violation = nullptr;
    moves.push_back(found);
  }
  printPath(m, moves, why);
  return BREAKS;
}
