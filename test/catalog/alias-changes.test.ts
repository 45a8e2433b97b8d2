/** The order in which changes of one alias are made, while their versions load. */
import { AliasChanges } from '#src/catalog/alias-changes.js';

function start() {
  const changes = new AliasChanges();
  const made: string[] = [];
  const change = (name: string) => {
    const prepared = Promise.withResolvers<void>();
    const result = changes
      .make('m champion', prepared.promise, async () => {
        made.push(name);
      })
      .then(
        () => 'made',
        ({ message }: Error) => message,
      );
    return { prepared, result };
  };
  return { change, made };
}

const refused = new Error('the version cannot be loaded');

test('a change that is prepared first waits for no other, but is made after earlier ones', async () => {
  const { change, made } = start();
  const [first, second] = [change('first'), change('second')];

  second.prepared.resolve();

  expect(await Promise.all([first.result, second.result])).toEqual(['made', 'made']);
  expect(made).toEqual(['first', 'second']);
});

test('a change that is refused does not end the check of an earlier one', async () => {
  const { change, made } = start();
  const [first, second] = [change('first'), change('second')];

  second.prepared.reject(refused);
  await second.result;
  first.prepared.reject(refused);

  expect(await Promise.all([first.result, second.result])).toEqual([refused.message, refused.message]);
  expect(made).toEqual([]);
});

test('after a refused change, later ones are still made after those that wait', async () => {
  const { change, made } = start();
  const [first, second] = [change('first'), change('second')];
  second.prepared.reject(refused);
  await second.result;

  const third = change('third');
  third.prepared.resolve();

  expect(await Promise.all([first.result, third.result])).toEqual(['made', 'made']);
  expect(made).toEqual(['first', 'third']);
});
