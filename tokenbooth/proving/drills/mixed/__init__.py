"""The mixed drill: honest, broken and hostile calls, while the engine dies."""
