// Shapes of the --json documents that rsconfig composes itself; the JSON schemas are generated from these shapes. If rsconfig prints
// an answer of rsiod unchanged, its shape is in api/src/rsiod/methods.ts. The rules for extending a shape are in docs/JSON.md.

import { WAITING } from '@rsio/api/rsiod/methods';
import { DIRECTIONS, PATH_STATES } from '@rsio/base/lib/path-states';
import { count, flag, list, number, object, orNull, text, word } from '@rsio/base/lib/shape';

export const FINDINGS_SHAPE = object({
  findings: list(
    object({
      check: text('Name of the check'),
      severity: word(['error', 'warning', 'ok']),
      object: text('The subject: a file, an interface, a path, a server'),
      what: text(),
      where: orNull(text('File and line, device or process')),
      remedy: orNull(text(), 'null: nothing to do'),
      commands: list(text(), 'Shell commands to run as root, in this order'),
    }),
  ),
});

export const SERVER_SECTIONS_SHAPE = object({
  servers: list(
    object({
      namespace: text(),
      section: text('Name in rscltcfg'),
      address: text(),
      server: orNull(text('Name that the server says of itself'), 'null: rsiod has never reached it by this section'),
      serverid: orNull(count(), 'null: as for server'),
      state: orNull(word(['connected', 'connecting', 'down']), 'null: rsiod does not run, or does not use the section yet'),
    }),
  ),
});

const END_POINT = object({ address: text(), port: count() });

export const EXPLORATION_SHAPE = object({
  asked: list(object({ name: text(), address: text(), broadcast: orNull(text()) }), 'Interfaces of this machine that explored'),
  port: count('Port of the broadcasts'),
  targets: list(END_POINT, 'Addresses explored in addition to the broadcasts'),
  servers: list(
    object({
      namespaceid: count(),
      namespace: text(),
      server: text(),
      serverid: count(),
      instance: text(),
      isSigned: flag('Signed with the given namespacekey'),
      interfaces: list(
        object({
          name: text(),
          address: text(),
          port: count(),
          linkMbps: orNull(count()),
          mtuBytes: orNull(count()),
        }),
      ),
      heard: list(
        object({
          local: text('Name of the interface of this machine'),
          localAddress: text(),
          from: text('Address that answered'),
          roundTripMs: number(),
        }),
      ),
    }),
  ),
  findings: list(object({ kind: text(), object: text(), count: count('Number of occurrences'), sentence: text(), remedy: text() })),
});

export const WATCH_SHAPE = object({
  atMs: number('Wall clock, milliseconds since 1970'),
  paths: list(
    object({
      interface: text(),
      address: text(),
      port: count(),
      state: word(PATH_STATES),
      tx: word(DIRECTIONS),
      rx: word(DIRECTIONS),
      sentBytesPerSecond: number(),
      receivedBytesPerSecond: number(),
      requestsPerSecond: number(),
      roundTripMs: orNull(number()),
    }),
  ),
  waiting: list(WAITING),
});

export const INTERFACES_SHAPE = object({
  interfaces: list(
    object({
      name: text(),
      address: text(),
      prefixLength: orNull(count()),
      port: count(),
      device: orNull(text(), 'null: no device of this machine has the address now'),
    }),
  ),
});

const FILE_MESSAGE = object({ line: count('0: the file as a whole'), message: text() });

export const CHECK_SHAPE = object({ file: text(), problems: list(FILE_MESSAGE), warnings: list(FILE_MESSAGE) });

export const KEY_SHAPE = object({ key: text() });
