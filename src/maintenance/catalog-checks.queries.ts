/** Checks of the rows of the catalog: what the code relies on, and what the schema cannot say. */
import { sql, type Transaction } from 'kysely';
import { AuditVerifier } from '../access/audit.js';
import { findAuditProblems } from '../access/audit.queries.js';
import { ROLES } from '../access/roles.js';
import { chooseDefaultVersion } from '../catalog/registration.queries.js';
import type { CatalogTables } from '../storage/database.js';
import { keptRows } from '../storage/migrations/kept-tables.js';
import type { Snapshot } from '../storage/snapshot.js';
import type { Problem, Repair } from './problem.js';

type Catalog = Snapshot<CatalogTables>;
type Trx = Transaction<CatalogTables>;

/** Rows `{ place, message }`, and `id` for the repair. */
interface Rule {
  readonly sql: string;
  readonly repair?: (id: string) => Repair;
}

const VERSION = "'version ' || model.name || ':' || version.number as place, version.id";
const VERSIONS = 'version join model on model.id = version.model_id';
const MODEL = "'model ' || model.name as place, model.id";
const KEY = "'api_key ' || api_key.id as place, api_key.id";

const isNoDigest = (column: string) => `(length(${column}) <> 64 or ${column} glob '*[^0-9a-f]*')`;

/** Values of a column that are not JSON, or JSON of another kind. */
function notJson(place: string, from: string, column: string, kind: 'object' | 'array', repair?: Rule['repair']): Rule {
  return {
    sql: `select ${place}, '${column.split('.')[1]} is not a JSON ${kind}' as message from ${from}
      where ${column} is not null and case when json_valid(${column}) then json_type(${column}) <> '${kind}' else 1 end`,
    ...(repair ? { repair } : {}),
  };
}

const ROLE_NAMES = ROLES.map((role) => `'${role}'`).join();

const RULES: readonly Rule[] = [
  {
    sql: `select ${MODEL}, 'visibility is ' || quote(visibility) || '; expected public or private' as message from model
      where visibility not in ('public', 'private')`,
  },
  {
    sql: `select 'dataset ' || name as place, id, 'visibility is ' || quote(visibility) || '; expected public or private' as message
      from dataset where visibility not in ('public', 'private')`,
  },
  {
    sql: `select 'dataset ' || name as place, id, 'its pieces have ' || coalesce(rows, 0) || ' rows up to row '
        || coalesce(last, 0) || '; expected ' || row_count as message
      from dataset left join (select dataset_id, sum(row_count) as rows, max(first_row + row_count - 1) as last
        from dataset_piece group by dataset_id) as piece on dataset_id = id
      where read_key is not null and (coalesce(rows, 0) <> dataset.row_count or coalesce(last, 0) <> dataset.row_count)`,
  },
  {
    sql: `select 'dataset ' || name || ' from row ' || first_row as place, id,
        'the piece has ' || dataset_piece.row_count || ' rows, but ends of ' || json_array_length(ends) as message
      from dataset_piece join dataset on id = dataset_id where json_array_length(ends) <> dataset_piece.row_count`,
  },
  notJson(MODEL, 'model', 'model.card', 'object'),
  {
    sql: `select ${MODEL}, 'card has no markdown' as message from model
      where json_valid(card) and json_type(card) = 'object' and coalesce(json_type(card, '$.markdown'), '') <> 'text'`,
  },
  {
    sql: `select ${MODEL}, 'search_id ' || model.search_id || ' is also that of ' || other.name as message
      from model join model as other on other.search_id = model.search_id and other.id < model.id`,
  },
  {
    sql: `select ${VERSION}, 'state is ' || quote(state) || '; expected READY, FAILED or ARCHIVED' as message from ${VERSIONS}
      where state not in ('READY', 'FAILED', 'ARCHIVED')`,
  },
  {
    sql: `select ${VERSION}, 'the version is READY but has no spec or no graph' as message from ${VERSIONS}
      where state = 'READY' and (spec is null or artifact_sha256 is null or artifact_bytes is null)`,
  },
  {
    sql: `select ${VERSION}, 'artifact_sha256 is not a SHA-256 digest' as message from ${VERSIONS}
      where artifact_sha256 is not null and ${isNoDigest('artifact_sha256')}`,
  },
  {
    sql: `select ${VERSION}, 'number is ' || version.number || '; expected 1 or more' as message from ${VERSIONS} where version.number < 1`,
  },
  notJson(VERSION, VERSIONS, 'version.spec', 'object'),
  notJson(VERSION, VERSIONS, 'version.variants', 'array'),
  notJson(VERSION, VERSIONS, 'version.verification', 'object'),
  notJson(
    "'latency of ' || latency.version_id || ' ' || latency.variant as place, cast(latency.rowid as text) as id",
    'latency',
    'latency.points',
    'array',
    (rowid) => ({
      does: 'deletes the row, so that the latency is measured again',
      inCatalog: (trx) => sql`delete from latency where rowid = ${Number(rowid)}`.execute(trx),
    }),
  ),
  notJson("'dataset ' || dataset.name as place, dataset.id", 'dataset', 'dataset.columns', 'array'),
  notJson("'dataset ' || dataset.name as place, dataset.id", 'dataset', 'dataset.preview', 'array'),
  {
    sql: `select 'evaluation ' || id as place, id, 'job_state is ' || quote(job_state) || ', or origin is ' || quote(origin) as message
      from evaluation where job_state not in ('QUEUED', 'RUNNING', 'SUCCEEDED', 'FAILED', 'CANCELLED')
        or origin not in ('IMPORTED', 'COMPUTED')`,
  },
  {
    sql: `select 'evaluation ' || evaluation.id as place, evaluation.id, 'there are answers to ' || coalesce(rows, 0)
        || ' rows; expected ' || evaluation_job.row_count as message
      from evaluation join evaluation_job on evaluation_job.evaluation_id = evaluation.id
        left join (select evaluation_id as of_id, sum(row_count) as rows from evaluation_piece group by evaluation_id)
          on of_id = evaluation.id
      where job_state = 'SUCCEEDED' and coalesce(rows, 0) <> evaluation_job.row_count`,
  },
  {
    sql: `select ${KEY}, 'kind is ' || quote(kind) || '; expected secret or publishable' as message from api_key
      where kind not in ('secret', 'publishable')`,
  },
  {
    sql: `select ${KEY}, 'secret_sha256 is not a SHA-256 digest' as message from api_key where ${isNoDigest('secret_sha256')}`,
  },
  {
    sql: `select ${KEY}, 'it was replaced by ' || replaced_by || ', which does not exist' as message from api_key
      where replaced_by is not null and replaced_by not in (select id from api_key)`,
  },
  notJson(KEY, 'api_key', 'api_key.limits', 'object'),
  ...['roles', 'operations', 'models', 'origins'].map((column) =>
    notJson(KEY, 'api_key', `api_key.${column}`, 'array'),
  ),
  {
    sql: `select ${KEY}, 'the role ' || quote(role.value) || ' does not exist' as message
      from api_key join json_each(case when json_valid(roles) then roles else '[]' end) as role
      where role.value not in (${ROLE_NAMES})`,
  },
];

export function* invalidRows(catalog: Catalog): Generator<Problem> {
  for (const rule of RULES)
    for (const { place, id, message } of catalog.rows<{ place: string; id: string; message: string }>(rule.sql))
      yield { code: 'ROW_INVALID', where: place, message, repair: rule.repair?.(id) ?? null };
}

/** The default version is kept in the row of the model: see `chooseDefaultVersion`. */
export function* wrongDefaults(catalog: Catalog): Generator<Problem> {
  const wrong = catalog.rows<{ id: string; name: string; expected: string | null }>(`
    select model.id, model.name, chosen.number as expected from model left join version as chosen on chosen.id = coalesce(
      (select version_id from alias where alias.model_id = model.id and alias.name = 'champion'),
      (select id from version where version.model_id = model.id and state = 'READY' order by number desc limit 1))
    where (default_version_id, default_framework, default_bytes) is not (chosen.id, chosen.framework_name, chosen.artifact_bytes)`);
  for (const { id, name, expected } of wrong)
    yield {
      code: 'DEFAULT_VERSION_WRONG',
      where: `model ${name}`,
      message: `the default version, its framework or its size is not that of ${expected === null ? 'no version' : `version ${expected}`}`,
      repair: { does: 'sets the default version', inCatalog: (trx) => chooseDefaultVersion(trx, id) },
    };
}

/** Tables that triggers keep: one problem for each, because they are made again as a whole. */
export function* wrongKeptTables(catalog: Catalog): Generator<Problem> {
  for (const [table, rowsOf] of Object.entries(keptRows)) {
    const kept = `select * from ${table} ${table === 'facet_count' ? 'where count <> 0' : ''}`;
    const expected = `select * from (${rowsOf()})`;
    const [counts] = catalog.rows<{ missing: number; surplus: number }>(`
      select (select count(*) from (${expected} except ${kept})) as missing,
        (select count(*) from (${kept} except ${expected})) as surplus`);
    const { missing = 0, surplus = 0 } = counts ?? {};
    if (missing + surplus === 0) continue;
    const fill = async (trx: Trx) => {
      await sql`delete from ${sql.id(table)}`.execute(trx);
      await sql`insert into ${sql.id(table)} ${sql.raw(rowsOf())}`.execute(trx);
    };
    const message = `${missing} rows are missing or wrong, and ${surplus} rows should not be there`;
    yield {
      code: 'KEPT_TABLE_WRONG',
      where: `table ${table}`,
      message,
      repair: { does: 'fills the table again', inCatalog: fill },
    };
  }
}

const MAX_AUDIT_PROBLEMS = 20;

/** What was changed in the audit log cannot be repaired: that would hide it. */
export async function* auditProblems(catalog: Catalog): AsyncGenerator<Problem> {
  for (const message of await findAuditProblems(catalog.db, new AuditVerifier(), MAX_AUDIT_PROBLEMS))
    yield { code: 'AUDIT_LOG_BROKEN', where: 'audit log', message, repair: null };
}
