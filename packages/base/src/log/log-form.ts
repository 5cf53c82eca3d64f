// The form of a log: the format of its lines, and the names of the daemon in these lines. Plain data, which the listener of rssrv sends to
// its workers.

export interface LogForm {
  /**
   * `json`: the log consists of records in a file. `journal` and `syslog`: the log consists of lines for the sender (sender.ts) in a pipe.
   */
  readonly format: 'json' | 'journal' | 'syslog';
  /** True if lines are printed in the time zone of this machine. */
  readonly isLocal: boolean;
  readonly program: string;
  /** Root directory of the daemon; '' for the real root. Several daemons on one machine have different root directories. */
  readonly root: string;
}

export const PLAIN_FORM: LogForm = { format: 'json', isLocal: false, program: 'rsio', root: '' };

/** A file or pipe, and the form of its lines. */
export interface LogWay {
  readonly file: string;
  readonly form: LogForm;
}
