/** The memory that a version takes, beside how long it takes. */
import { type Kysely, sql } from 'kysely';

/** What was measured without the memory is measured again, once the version is loaded and the server is idle. */
export async function addMeasuredMemory(db: Kysely<unknown>): Promise<void> {
  await db.schema.alterTable('latency').addColumn('resident_bytes', 'bigint').execute();
  await sql`delete from latency`.execute(db);
}
