"""How many messages were sent in each hour, for the admin's charts."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("chats", "0019_drop_people_index")]

    operations = [
        migrations.CreateModel(
            name="HourlyCount",
            fields=[
                ("hour", models.IntegerField(primary_key=True, serialize=False)),
                ("messages", models.IntegerField()),
            ],
            options={"default_permissions": ()},
        ),
    ]
