// The form of a log: how its lines are written, and what names the daemon in them. Plain data, which the listener of rssrv sends to its
// server processes.

export interface LogForm {
  /** `json`: records in a file; else lines for the sender (sender.ts), in a pipe. */
  readonly format: 'json' | 'journal' | 'syslog';
  /** True if lines are printed in the time zone of this machine. */
  readonly isLocal: boolean;
  readonly program: string;
  /** Root of the daemon, which distinguishes several daemons on one machine; '' for the real one. */
  readonly root: string;
}

export const PLAIN_FORM: LogForm = { format: 'json', isLocal: false, program: 'rsio', root: '' };

/** A file or pipe, and how it is written. */
export interface LogWay {
  readonly file: string;
  readonly form: LogForm;
}
