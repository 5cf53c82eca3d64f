// The reservations of a volume as its record keeps them. The gates have the rules that change them. Invariant: in every state that is read,
// each holder is a registrant, and a reservation for all registrants has at least one registrant.

import { atMost, checked, flag, list, object, type Of, oneOf, optional, orNull, text, textThat, whole } from '@rsio/base/lib/shape';
import { GATE_REGISTRANTS_MAX } from './limits.ts';

/** 0 stands for no reservation. Even types exclude reads, too. From 3 on, registrants have the holder's access; from 5 on, all are holders. */
export const TYPE = { NONE: 0, REGISTRANTS: 3, ALL: 5 } as const;
export type ReservationType = 1 | 2 | 3 | 4 | 5 | 6;

/** The name of a nexus may be any text, because earlier releases have recorded hosts with any name (ports/host-name.ts). */
const hostIdShape = textThat(
  (value) => /^[0-9a-f]{32}$/.test(value) || /^scsi [0-9]{1,5} [^]/.test(value),
  'a host identifier of 32 hexadecimal digits, or the name of a nexus',
);
/** The number as 16 hexadecimal digits. */
const keyShape = textThat((value) => /^[0-9a-f]{16}$/.test(value), 'a key of 16 hexadecimal digits');
export const NO_KEY = '0'.repeat(16);

const registrantShape = object({ hostId: hostIdShape, hostNqn: optional(text()), key: keyShape });

/** The stored state of a volume's reservations. `holder` is null if there is none, and if all registrants are holders. */
export const reservationShape = checked(
  object({
    generation: whole(0, 2 ** 32 - 1),
    type: oneOf(TYPE.NONE, 1, 2, 3, 4, 5, 6),
    holder: orNull(hostIdShape),
    ptpl: flag(),
    registrants: atMost(GATE_REGISTRANTS_MAX, list(registrantShape)),
  }),
  ({ type, holder, registrants }) => {
    const ids = new Set(registrants.map(({ hostId }) => hostId));
    if (ids.size !== registrants.length) return 'has a registrant twice';
    const hasHolder = type !== TYPE.NONE && type < TYPE.ALL;
    if (hasHolder !== (holder !== null) || (holder !== null && !ids.has(holder))) return 'has no registrant as its holder';
    return type >= TYPE.ALL && ids.size === 0 ? 'is held by no registrant' : null;
  },
);
export type ReservationState = Of<typeof reservationShape>;
