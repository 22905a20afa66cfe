// How the pictures' JavaScript and its tests are linted; run from the project's folder.
import js from "@eslint/js";
import globals from "globals";

export default [
  { ...js.configs.recommended },
  {
    languageOptions: { ecmaVersion: 2022, sourceType: "module", globals: globals.browser },
    linterOptions: { reportUnusedDisableDirectives: "error" },
    rules: {
      curly: ["error", "multi-line"],
      eqeqeq: "error",
      "no-eval": "error",
      "no-implied-eval": "error",
      "no-shadow": "error",
      "no-unused-vars": ["error", { args: "all", caughtErrors: "all" }],
      "no-use-before-define": ["error", { functions: false, variables: false }],
      "no-useless-return": "error",
      "no-var": "error",
      "object-shorthand": "error",
      "prefer-const": "error",
      "prefer-template": "error",
      radix: "error",
      // What a widget loads has no address of its own, so that nothing but its neighbours can be imported.
      "no-restricted-imports": ["error", { patterns: [{ regex: "^(?!\\./[a-z]+\\.mjs$|node:|@eslint/|globals$|\\.\\./)" }] }],
      "no-restricted-syntax": ["error", { selector: "ImportExpression", message: "A widget is one module." }],
      "max-len": ["error", { code: 120, ignoreStrings: true, ignoreTemplateLiterals: true }],
    },
  },
  { files: ["tests/**"], languageOptions: { globals: globals.node } },
];
