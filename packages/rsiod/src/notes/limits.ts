// Bounds of the notes at volumes.
// The bound of the text itself is in the protocol (VOLUME_NOTE_MAX_CHARS).

/** How long the holder waits until most voters of a mirror have stored a note. After this time, voters may still store the note. */
export const NOTE_WAIT_MS = 10_000;
