// The name of a volume as a value that a form checks, such as `oracle` or `oracle@1`. Pure. Invariant: a form accepts the names that rsadm
// accepts.

import type { ValueType } from '@rsio/common/config/schema/value-types';
import { UNIVERSE_MAX } from '@rsio/common/lib/limits';
import { NAME_ALLOWED } from '@rsio/common/lib/units';
import { type VolumeName, volumeName } from '@rsio/common/manage/volumes/values';

export const volumeNameText: ValueType<VolumeName> = {
  kind: 'name',
  allowed: `${NAME_ALLOWED}, optionally followed by @UNIVERSE (0 to ${UNIVERSE_MAX})`,
  isSecret: false,
  parse: (text) => volumeName(text, 'crsio'),
};
