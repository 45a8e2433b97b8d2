import { useMutation } from '@apollo/client/react';
import { type FormEvent, useEffect, useMemo, useRef, useState } from 'react';
import { type Field, fieldsOf, inputOf, mistakesOf, valueOfField } from '../../form-fields.ts';
import { Answer } from './answer';
import { FieldRow } from './field-row';
import type { FormSignatureFragment, ModelInput, PredictMutation } from './gql/graphql';
import { HistoryDocument, PredictDocument } from './gql/graphql';
import { Failure, ProblemNotice } from './notices';

export function PredictForm({ model, signature }: { model: string; signature: FormSignatureFragment }) {
  const form = useRef<HTMLFormElement>(null);
  const fields = useMemo(() => fieldsOf(signature), [signature]);
  const [unreadable, setUnreadable] = useState<Record<string, string>>();
  const [answer, setAnswer] = useState<{ input: ModelInput; payload: PredictMutation['predict'] | undefined }>();
  const [predict, { loading, error }] = useMutation(PredictDocument, {
    refetchQueries: ({ data }) => (data?.predict?.prediction ? [HistoryDocument] : []),
  });
  const { prediction, problem } = answer?.payload ?? {};
  const told = problem?.__typename === 'InvalidInput' ? mistakesOf(problem.problems, fields) : null;
  const mistakes = unreadable ?? told;

  useEffect(() => {
    if (unreadable || answer) form.current?.querySelector<HTMLElement>('[aria-invalid="true"]')?.focus();
  }, [unreadable, answer]);

  const submit = async (event: FormEvent) => {
    event.preventDefault();
    const values = new Map<Field, unknown>();
    for (const [i, field] of fields.entries()) {
      try {
        values.set(field, await valueOfField(field, form.current?.elements[i] as HTMLInputElement));
      } catch (reason) {
        setAnswer(undefined);
        return setUnreadable({ [field.name]: String(reason) });
      }
    }
    const input = inputOf<ModelInput>(values);
    // Without data, `error` says what went wrong.
    const { data } = await predict({ variables: { input: { model, input } } }).catch(() => ({ data: undefined }));
    setUnreadable(undefined);
    setAnswer({ input, payload: data?.predict });
  };

  return (
    <article>
      <form ref={form} onSubmit={submit} noValidate aria-label="Input">
        {fields.map((field) => (
          <FieldRow key={field.name} field={field} mistake={mistakes?.[field.name]} />
        ))}
        <button type="submit" aria-busy={loading} disabled={loading}>
          Predict
        </button>
      </form>
      <div aria-live="polite">{answer && prediction && <Answer prediction={prediction} input={answer.input} />}</div>
      {problem && !told && <ProblemNotice problem={problem} />}
      {error && <Failure error={error} />}
    </article>
  );
}
