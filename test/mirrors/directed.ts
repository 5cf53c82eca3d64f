// Faults of the decider that random walks do not find in time. Each fault has a script that leads a walk to a situation in which the fault
// shows: a change of voters is in progress, a take-over happens during such a change, or only one voter has a configuration that was sent.
// Servers 0 and 1 have the replicas, 2 is the witness, and 3 can become a voter. The names are those of the models (test/models/README.md).

import { isMajority } from '@rsio/protocol/mirror/membership/quorums';
import { RULES } from '@rsio/protocol/mirror/membership/rules';
import type { Planted } from './planted.ts';
import type { Scene } from './script.ts';

const { whileChanging } = RULES;

/** Pattern for steps with faults. A scene forbids all these steps, except the one with which the scene ends. */
const FAULTS = 'detaches|crash|restarts|unreachable|cut$|lost$|keeps the voters';

/** Makes a scene without faults, in which the other client does nothing. */
function scene(until: string, never = '', first?: string): Scene {
  const no = new RegExp(`^y |^y-|${FAULTS}${never === '' ? '' : `|${never}`}`);
  return first === undefined ? { until: new RegExp(until), never: no } : { until: new RegExp(until), never: no, first: new RegExp(first) };
}

const NOTHING_ENDS = '^$';
const CHANGE = '^x changes the voters to 0,1,3$';
const OTHER_CHANGES = 'changes the voters to (?!0,1,3$)|changes the voters to 0,1,3 ';
/**
 * Bounds for walks in which the replica on server 1 is cut off and removed. Whether a claim may choose this replica again depends on which
 * voters have stored the removal.
 */
const BOUNDS = { losses: false, faults: 3, writes: 4, starts: 2, changes: 1, wishes: ['voters'] } as const;

/**
 * Makes scenes in which the session of server 0 breaks, so that server 0 never gets its last request, and the replica on server 1 is
 * removed afterwards.
 */
function awayFrom(voters: string): Scene[] {
  const never = `-s[0123] config ${voters}|old config|^x-s0 silent`;
  return [
    scene('^x-s0 cut$', never),
    scene('^x-s1 cut$', `${never}|heals`),
    scene('^x-s1 silent$', `${never}|heals`),
    scene(NOTHING_ENDS, `${never}|^x-s1 (?!silent)`),
  ];
}

const CHANGES_OF_VOTERS: readonly Planted[] = [
  {
    name: 'one-step',
    rule: 'M17',
    breaks: 'A change of voters has one configuration',
    rules: { firstStep: (base, voters) => ({ ...base, voters }) },
    options: {
      ...BOUNDS,
      script: [
        scene(CHANGE, OTHER_CHANGES),
        scene('^x-s1 cut$', '-s[12] config'),
        scene('^x-s1 silent$', '-s[12] config'),
        scene(NOTHING_ENDS, '-s[12] config|^x-s1 '),
      ],
    },
  },
  {
    name: 'claim-first-voters',
    rule: 'M17',
    breaks: 'A claim needs the voters that the client knew first',
    rules: {
      isQuorum: (_, has) =>
        isMajority(
          [0, 1, 2].map((serverid) => ({ voter: `${serverid}1`.padStart(32, 'a'), serverid })),
          has,
        ),
    },
    options: {
      ...BOUNDS,
      script: [
        scene(CHANGE, OTHER_CHANGES),
        scene('^x-s1 config V013 I01'),
        scene('^x-s1 cut$'),
        scene('^x-s1 silent$', ' heals'),
        scene(NOTHING_ENDS, '^x-s1 '),
      ],
    },
  },
  {
    name: 'joint-new-only',
    rule: 'M17',
    breaks: 'A configuration with two sets of voters is at a majority when the new set has it',
    rules: { isAtMajority: ({ voters, nextVoters }, has) => isMajority(nextVoters ?? voters, has) },
    options: {
      ...BOUNDS,
      script: [
        scene(CHANGE, OTHER_CHANGES),
        scene('^x-s1 cut$', '-s[12] config'),
        scene('^x-s1 silent$', '-s[12] config'),
        scene(NOTHING_ENDS, '-s[12] config|^x-s1 '),
      ],
    },
  },
  {
    name: 'joint-old-only',
    rule: 'M17',
    breaks: 'A configuration with two sets of voters is at a majority when the old set has it, and a new holder goes back',
    rules: {
      isAtMajority: ({ voters }, has) => isMajority(voters, has),
      // The planted fault: two different second steps are sent. The holder that has taken over sends the old set of voters, and the holder
      // that began the change sends the new set.
      secondStep: (base) => ({ ...base, voters: base.k === 1 ? base.voters : (base.nextVoters ?? base.voters), nextVoters: null }),
    },
    options: {
      ...BOUNDS,
      script: [
        scene(CHANGE, OTHER_CHANGES),
        scene('^x-s1 config V013 ', '-s3 config|-s[023] config V013 '),
        { until: /^y takes over$/, never: /^x|^y attaches|-s\d/, first: /^y takes over$/ },
        { until: /^y-s1 silent$/, never: /^x|^y-s[13] config|^y-s1|crash|restarts|unreachable|cut$|detaches|changes/ },
        { until: /^$/, never: /^x|^y-s[13] config|^y-s1 |crash|restarts|unreachable|cut$|detaches|changes/ },
      ],
    },
  },
  {
    name: 'claim-old-only',
    rule: 'M17',
    breaks: 'A claim needs a majority of the old set alone if the highest configuration names two',
    rules: { isQuorum: ({ voters }, has) => isMajority(voters, has) },
    options: {
      ...BOUNDS,
      script: [
        scene(CHANGE, OTHER_CHANGES),
        scene('^x-s2 config V012>013 ', '-s[12] config V013 '),
        scene('^x-s1 cut$', '-s[12] config V013 '),
        scene(NOTHING_ENDS, '-s[12] config V013 '),
      ],
    },
  },
  {
    name: 'claim-new-only',
    rule: 'M17',
    breaks: 'A claim needs a majority of the new set alone if the highest configuration names two',
    rules: { isQuorum: ({ voters, nextVoters }, has) => isMajority(nextVoters ?? voters, has) },
    options: {
      ...BOUNDS,
      script: [scene(CHANGE, OTHER_CHANGES), scene('^x-s3 config V012>013 ', '-s[012] config V012>'), ...awayFrom('V012>013 ')],
    },
  },
  {
    name: 'both-ways',
    rule: 'M17',
    breaks: 'A holder that has sent the new set of voters alone then sends the old set alone',
    rules: {
      whileChanging: (state) => {
        const { base, pending } = state;
        const isSecond = base !== null && base.config.nextVoters !== null && pending !== null && pending.nextVoters === null;
        return isSecond ? { ...pending, voters: base.config.voters } : whileChanging(state);
      },
    },
    options: {
      ...BOUNDS,
      script: [scene(CHANGE, OTHER_CHANGES), scene('^x-s3 config V013 ', '-s[012] config V013 '), ...awayFrom('V013 ')],
    },
  },
];

const CHANGES_OF_MEMBERS: readonly Planted[] = [
  {
    name: 'reopen-leaving',
    rule: 'M11',
    breaks: 'A replica is opened again while its removal is pending',
    rules: { isLeaving: () => false },
    options: {
      ...BOUNDS,
      changes: 0,
      script: [
        scene('^x writes'),
        scene('^x-s1 write', 'flushes| writes'),
        scene('^s1: the machine crashes$', 'flushes| writes'),
        scene('^x-s1 silent$', 'flushes| writes|-s[12] config|^x-s1 opens'),
        scene(NOTHING_ENDS, '-s[12] config'),
      ],
    },
  },
  {
    name: 'pending-last-only',
    rule: 'M8',
    breaks: 'A replica counts no more when a later configuration without it is sent',
    rules: {
      counted: ({ base, pending, replicas }) => {
        const joining = [...replicas.values()].flatMap((one) => (one.joining ? [one.identity] : []));
        return new Set([...(base?.config.inSync ?? []), ...(pending?.inSync ?? []), ...joining]);
      },
    },
    options: {
      ...BOUNDS,
      changes: 0,
      script: [
        scene('^x-s1 cut$', ' writes| reads'),
        scene('^x-s1 silent$', ' writes| reads'),
        scene('^x-s2 config V012 I01 ', '-s[01] config V012 I01 '),
        scene('^x-s1 cut$', '-s[012] config'),
        scene('^x-s1 silent$', '-s[012] config'),
        scene(NOTHING_ENDS, '-s[12] '),
      ],
    },
  },
  {
    name: 'resync-unclaimed',
    rule: 'M12',
    breaks: 'A replica is copied although another one of I is not claimed in this term',
    rules: { isAllClaimed: () => true },
    options: {
      ...BOUNDS,
      changes: 0,
      replicas: 3,
      script: [
        scene('^x-s1 cut$', ' writes| reads'),
        scene('^x-s1 silent$', ' writes| reads'),
        scene('^x-s0 config V012 I02 .*answered', ' writes| reads| heals'),
        scene('^x writes', ' reads| heals'),
        { until: /^y takes over$/, never: /./ },
        { until: /^y-s1 opens$/, never: /^x|^y-s2|crash|restarts|unreachable|cut$/ },
        { until: /^x-s2 write/, never: /./ },
        { until: /^$/, never: /^x|crash|restarts|unreachable|cut$/ },
      ],
    },
  },
  {
    name: 'clear-pending',
    rule: 'M19',
    breaks: 'Bits are cleared while the removal of the member that is not in sync is only sent',
    rules: {
      isAllInSync: ({ base, pending }) =>
        base !== null && (pending ?? base.config).members.every(({ identity }) => base.config.inSync.includes(identity)),
    },
    options: {
      ...BOUNDS,
      wishes: ['remove'],
      script: [
        scene('^x-s1 cut$', ' writes| reads| removes'),
        scene('^x-s1 silent$', ' writes| reads| removes'),
        scene('^x writes', ' heals| removes'),
        scene('^x removes s1$', ' heals| removes s0| clears'),
        scene('^x-s0 clears its map$', ' heals| removes| config V012 I0 M0$'),
        { until: /^$/, never: /^x|crash|restarts|unreachable|cut$|detaches/ },
      ],
    },
  },
  {
    name: 'lost-record-opens',
    rule: 'M18',
    breaks: 'The replica on a server that has lost its record is used before a configuration at a majority names the new one',
    rules: { isServerUsable: () => true },
    options: {
      ...BOUNDS,
      losses: true,
      steps: 500,
      script: [
        scene('^x-s1 config .* answered', ' writes| reads| changes|-s2 config'),
        scene('^x-s2 config .* answered', ' writes| reads| changes'),
        scene('^x-s1 cut$', ' writes| reads| changes'),
        scene('^x-s1 silent$', ' writes| reads| changes| heals'),
        scene('^x-s0 config V012 I0 .*answered', ' writes| reads| changes| heals|-s2 config'),
        scene('^x-s2 config V012 I0 .*answered', ' writes| reads| changes| heals'),
        { until: /^y takes over$/, never: /./ },
        { until: /^y-s2 config V012 I01 .*answered/, never: /^x|-s3 |crash|restarts|unreachable|cut$|lost$|detaches|changes/ },
        { until: /^s0: the record is lost$/, never: /./ },
        { until: /^y writes/, never: /^x|-s3 |crash|restarts|unreachable|cut$|lost$|detaches|changes| reads/ },
        { until: /^x-s2 cut$/, never: /./ },
        {
          until: /^x-s0 record answered 1$/,
          never: /^x-s[12]|-s3 |^x-s0 silent|crash|restarts|unreachable|cut$|lost$|detaches|changes|keeps/,
        },
        { until: /^x changes the voters to 0,1,2$/, never: /^x-s[12]|-s3 |crash|restarts|unreachable|cut$|lost$|detaches|changes| keeps/ },
        {
          until: /^$/,
          never: /^x-s[12]|-s3 |^x-s0 silent|crash|restarts|unreachable|cut$|lost$|detaches|changes|keeps/,
          first: /^x-s0 (?!opens)/,
        },
      ],
    },
  },
];

export const DIRECTED: readonly Planted[] = [...CHANGES_OF_VOTERS, ...CHANGES_OF_MEMBERS];
