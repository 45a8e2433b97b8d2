import { type ComponentProps, useId, useState } from 'react';
import type { Field } from '../../form-fields.ts';
import { urlOfBase64 } from './format';

export function FieldRow({ field, mistake }: { field: Field; mistake: string | undefined }) {
  const id = useId();
  const described = { id, 'aria-describedby': `${id}note`, ...(mistake && { 'aria-invalid': true }) };
  return (
    <div className={field.path[0] === 'row' ? 'cell' : 'wide'}>
      <label htmlFor={id}>{field.label}</label>
      <Control field={field} {...described} />
      <small id={`${id}note`}>
        {mistake && <strong className="wrong">{mistake} </strong>}
        {field.hint}
      </small>
    </div>
  );
}

type Described = Pick<ComponentProps<'input'>, 'id' | 'aria-invalid' | 'aria-describedby'>;

function Control({ field: { control, value, options }, ...rest }: { field: Field } & Described) {
  const text = typeof value === 'string' ? value : value == null ? '' : JSON.stringify(value);
  switch (control) {
    case 'line':
      return <input defaultValue={text} {...rest} />;
    case 'number':
      return <input type="number" step="any" defaultValue={text} {...rest} />;
    case 'checkbox':
      return <input type="checkbox" defaultChecked={value === true} {...rest} />;
    case 'lines':
      return <textarea rows={4} defaultValue={(value as string[]).join('\n')} {...rest} />;
    case 'text':
    case 'json':
      return <textarea rows={4} defaultValue={text} {...rest} />;
    case 'file':
      return <input type="file" {...rest} />;
    case 'image':
      return <ImageFile example={urlOfBase64(text)} {...rest} />;
    case 'choice':
      return (
        <select defaultValue={text} {...rest}>
          {options.map((option) => (
            <option key={option}>{option}</option>
          ))}
        </select>
      );
  }
}

function ImageFile({ example, ...rest }: { example: string } & Described) {
  const [src, setSrc] = useState(example);
  const show = (file: File | undefined) => setSrc(file ? URL.createObjectURL(file) : example);
  return (
    <>
      <input type="file" accept="image/*" onChange={({ target }) => show(target.files?.[0])} {...rest} />
      <img className="thumbnail" alt="To send" src={src} onLoad={() => URL.revokeObjectURL(src)} />
    </>
  );
}
