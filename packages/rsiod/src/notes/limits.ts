// Bounds of the notes at volumes, and of the other content of gate records.
// The bound of the text itself is in the protocol (VOLUME_NOTE_MAX_CHARS).

/** How long the holder waits until most voters of a mirror have stored a note. After this time, voters may still store the note. */
export const NOTE_WAIT_MS = 10_000;

/** Highest namespace id of a volume at a gate. */
export const GATE_NAMESPACE_ID_MAX = 65_535;
/** Most subsystems in which a volume has a namespace id; its gate record contains them all. */
export const GATE_RECORD_IDS_MAX = 64;
/** Most hosts that are registrants of one volume, and most notices about reservations that a host has not read. */
export const GATE_REGISTRANTS_MAX = 64;
