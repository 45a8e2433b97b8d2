/** The rules for every answer, whatever the request. */
import { type GraphQLSchema, isEnumType } from 'graphql';
import type { Data } from '../../support/graphql-client.ts';

export interface Answer {
  readonly status: number;
  readonly type: string;
  readonly text: string;
}

export interface Verdict {
  /** Null if the answer follows the rules. */
  readonly complaint: string | null;
  /** Whether the answer has data and no error. */
  readonly isAnswered: boolean;
}

const JSON_TYPE = /^application\/(graphql-response\+)?json\b/;

export function judgeWith(schema: GraphQLSchema): (answer: Answer) => Verdict {
  const problemCode = schema.getType('ProblemCode');
  if (!isEnumType(problemCode)) throw new Error('The schema has no enum ProblemCode.');
  const codes = new Set(problemCode.getValues().map(({ name }) => name));
  return ({ status, type, text }) => {
    if (status !== 200 && (status < 400 || status > 499)) return no(`HTTP status ${status}`);
    if (!JSON_TYPE.test(type)) return no(`content type ${type}`);
    if (/errorId|INTERNAL_SERVER_ERROR/.test(text)) return no(`an internal error: ${text.slice(0, 300)}`);
    let body: Data;
    try {
      body = JSON.parse(text);
    } catch {
      return no(`no JSON: ${text.slice(0, 300)}`);
    }
    const complaint = complaintAbout(status, body, codes);
    return complaint ? no(complaint) : { complaint: null, isAnswered: status === 200 && !body.errors };
  };
}

function no(complaint: string): Verdict {
  return { complaint, isAnswered: false };
}

function complaintAbout(status: number, body: Data, codes: ReadonlySet<string>): string | null {
  if (status === 200 && !('data' in body)) return 'status 200 without data';
  const nameless = body.errors?.find((error: Data) => !error.extensions?.code);
  if (nameless) return `an error without a code: ${nameless.message}`;
  const { predict, predictMany } = body.data ?? {};
  const rows = listOf(predictMany?.columns?.problems);
  for (const payload of [predict, predictMany, ...listOf(predictMany?.results), ...rows]) {
    const complaint = payload?.problem ? complaintAboutProblem(payload.problem, codes) : null;
    if (complaint) return complaint;
  }
  return null;
}

function listOf(value: unknown): Data[] {
  return Array.isArray(value) ? value : [];
}

/** Checks only the fields that the document selected under their own names. */
function complaintAboutProblem({ code, problems }: Data, codes: ReadonlySet<string>): string | null {
  if (typeof code === 'string' && !codes.has(code)) return `the problem code ${code}`;
  if (!Array.isArray(problems)) return null;
  if (problems.length === 0) return 'an InvalidInput without problems';
  const nowhere = problems.find(({ path }: Data) => Array.isArray(path) && path.length === 0);
  return nowhere ? `a problem without a path: ${JSON.stringify(nowhere)}` : null;
}
