"""What runs where on AWS, as a CDK app. Imports no runtime code: names and settings cross as environment variables."""
