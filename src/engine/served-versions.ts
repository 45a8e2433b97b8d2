/** What the engine has learned of the versions that inputs were sent to. */
import { VersionLatency } from './latency.js';
import type { EngineVersion } from './messages.js';
import type { ScheduledVersion } from './schedule.js';
import { VersionRecords } from './version-records.js';

export class ServedVersions extends VersionRecords<ScheduledVersion> {
  /** `keysInUse`: versions that are in memory or have queued inputs. Versions with running batches are kept too. */
  constructor(keysInUse: () => ReadonlySet<string>) {
    const isKept = () => {
      const inUse = keysInUse();
      return ({ version, running }: ScheduledVersion) => running > 0 || inUse.has(version.key);
    };
    super(isKept, ({ latency }) => Math.max(latency.measuredAt, -Number.MAX_VALUE));
  }

  of(version: EngineVersion): ScheduledVersion {
    const known = this.get(version.key);
    return (
      known ?? this.add({ version, latency: new VersionLatency(), running: 0, blockedSince: null, overload: null })
    );
  }
}
