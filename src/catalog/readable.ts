/** "beak_length" → "Beak length", "BODY_MASS" → "Body mass", "petalWidth" → "Petal width", "BMI" → "BMI" */
export function readable(name: string): string {
  const spaced = name.replaceAll(/[_\s]+/g, ' ').trim();
  const isConstant = /^[A-Z][A-Z ]+$/.test(spaced) && spaced.includes(' ');
  const words = isConstant
    ? spaced.toLowerCase()
    : spaced.replaceAll(/(?<=[a-z0-9])([A-Z])(?=[a-z])/g, (letter) => ` ${letter.toLowerCase()}`);
  return words.charAt(0).toUpperCase() + words.slice(1) || name;
}
