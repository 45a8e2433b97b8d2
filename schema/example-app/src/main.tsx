import { ApolloProvider } from '@apollo/client/react';
import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import { Link, useAddress } from './address';
import { ModelList } from './model-list';
import { ModelPage } from './model-page';
import { client } from './server';
import '@picocss/pico';
import './app.css';

function App() {
  const model = useAddress().get('model');
  return (
    <div className="container">
      <nav aria-label="Main">
        <Link to={{}}>All models</Link>
      </nav>
      <main>{model === null ? <ModelList /> : <ModelPage key={model} name={model} />}</main>
    </div>
  );
}

createRoot(document.body.appendChild(document.createElement('div'))).render(
  <StrictMode>
    <ApolloProvider client={client}>
      <App />
    </ApolloProvider>
  </StrictMode>,
);
